/** The backend that answered a heartbeat, and the number of its channels. */
export interface SessionProof {
  readonly pid: string;
  readonly channels: number;
}

/**
 * The error of a session that answers heartbeats, but has lost channels and maybe notifications.
 */
export class SessionLostError extends Error {
  override readonly name = 'SessionLostError';
}

/**
 * Throws `SessionLostError` unless the backend of the last proof answered, with all channels. A
 * connection can stay open while the server session behind it is replaced: by a proxy that fails
 * over, or by a pooler that resets it. Without a last proof the number of channels decides: the
 * process id that a pooler announced is not the backend's.
 */
export function assertSameSession(
  found: SessionProof,
  channels: number,
  last: SessionProof | undefined,
): void {
  const counts = `${found.channels} channels instead of ${channels}`;
  if (last !== undefined && found.pid !== last.pid)
    throw lost(`was replaced: backend ${found.pid} instead of ${last.pid}, ${counts}`);
  if (!(found.channels >= channels)) throw lost(`has lost channels: it listens to ${counts}`);
}

const lost = (what: string) =>
  new SessionLostError(`the server session behind the LISTEN connection ${what}`);
