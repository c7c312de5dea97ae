import type { Server } from 'node:net';

/** Serves on the inherited sockets, or on a port when there is no master; resolves when the server is ready. */
export function listen(server: Server, port?: number): Promise<void>;
/**
 * Asks for a replacement of this worker, which serves on until that is ready. The reason is 1 to 32 small letters, digits
 * and underscores; only the first call counts.
 */
export function recycle(reason: string): void;
/** Aborted when this worker is to finish. */
export const draining: AbortSignal;
/** Which worker this is; all zero without a master. */
export const worker: { readonly id: number; readonly slot: number; readonly place: number; readonly generation: number };
