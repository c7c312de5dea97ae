/// <reference types="node" />
import type { Server } from 'node:net';

/** Serves on the inherited sockets, or on a port when there is no master; resolves when the server is ready. */
export function listen(server: Server, port?: number): Promise<void>;
/**
 * Asks for a replacement of this worker, which serves on until that is ready. Of the reason log, status and metrics have
 * 32 small letters, digits and underscores; only the first call counts.
 */
export function recycle(reason: string): void;
/** A request of a protocol of one's own. */
export interface AccountedRequest {
  /** Aborted when its limit is over: whoever serves it is to give up. */
  readonly signal: AbortSignal;
  /** Something was sent to its client, or came from it. */
  progress(): void;
  /** It is over, with a status as of HTTP, or 0; only the first call counts. */
  end(status: number): void;
}
/** Accounts for a request that is no request of a server given to `listen`, with all its limits. */
export function request(method: string, path: string): AccountedRequest;
/** Aborted when this worker is to finish. */
export const draining: AbortSignal;
/** Which worker this is; all zero without a master. A spare has slot -1 until it takes one. */
export const worker: { readonly id: number; readonly slot: number; readonly place: number; readonly generation: number };
