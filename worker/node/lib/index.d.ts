import type { Server } from 'node:net';

/** Serves on the inherited sockets, or on a port when there is no master; resolves when the server is ready. */
export function listen(server: Server, port?: number): Promise<void>;
/** Aborted when this worker is to finish. */
export const draining: AbortSignal;
/** Which worker this is; all zero without a master. */
export const worker: { readonly id: number; readonly slot: number; readonly place: number; readonly generation: number };
