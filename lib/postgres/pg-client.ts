/** Members of pg's client that its declarations leave out; `internals.json` lists them. */
interface ClientInternals {
  readonly processID: number;
  readonly connection: { readonly stream: { destroy(): void } };
  ref(): void;
  unref(): void;
}

/** Reads every column as text: the application may have replaced pg's type parsers. */
export const AS_TEXT = { getTypeParser: () => (value: string) => value } as const;

/**
 * Returns the process id of the server as pg's client received it while connecting. A pooler in
 * front of the server announces an id of its own, which differs from `pg_backend_pid()`.
 */
export const processIdOf = (client: object): number => internalsOf(client).processID;

/**
 * Closes the socket of pg's client at once, for connections that no longer answer, on which `end()`
 * never returns. The socket is read at the time of the call, because a TLS upgrade replaces it.
 */
export const destroySocket = (client: object): void => internalsOf(client).connection.stream.destroy();

/** Sets whether an open connection of pg's client keeps the process alive. */
export const keepAlive = (client: object, isKept: boolean): void =>
  isKept ? internalsOf(client).ref() : internalsOf(client).unref();

// not declared: every access to a private member passes through here
const internalsOf = (client: object): ClientInternals => client as ClientInternals;
