import net from 'node:net';
import { settlesWithin } from '../common/deadline.js';

/** The identity of a server session, as pg keeps it after the connection was opened. */
interface BackendKey {
  readonly host?: string;
  readonly port?: number;
  readonly processID?: number | null;
  readonly secretKey?: number | null;
}

const CANCEL_REQUEST = 80_877_102; // PostgreSQL's protocol, "CancelRequest"
const MAX_CONNECT_MS = 5_000;

/**
 * Cancels the session's statement, through another connection: that of the session is busy, and the
 * pool may be exhausted. Resolves when the server has processed the request (later statements are
 * not affected), or after 5 s. Never rejects: the session shows whether the request had an effect.
 * The request contains no secret except the session's cancel key, and is sent unencrypted, as by
 * libpq.
 */
export async function requestCancel(client: object): Promise<void> {
  const { host = 'localhost', port = 5_432, processID, secretKey } = client as BackendKey;
  if (typeof processID !== 'number' || typeof secretKey !== 'number') return; // pg-native
  // no deadline: the socket is destroyed after MAX_CONNECT_MS, below
  const socket = net.connect(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined); // 'close' follows
  socket.end(cancelRequest(processID, secretKey));
  socket.resume();
  await settlesWithin(closed, MAX_CONNECT_MS);
  socket.destroy();
}

function cancelRequest(processId: number, secretKey: number): Buffer {
  const request = Buffer.alloc(16);
  request.writeInt32BE(16, 0);
  request.writeInt32BE(CANCEL_REQUEST, 4);
  request.writeInt32BE(processId, 8);
  request.writeInt32BE(secretKey, 12);
  return request;
}
