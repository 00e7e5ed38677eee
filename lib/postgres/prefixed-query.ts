import { isServerError } from '../common/server-error.js';

/** pg's connection. Each method sends one message; `query`, a text of the simple protocol. */
interface Wire {
  query(text: string): void;
  sync(): void;
  readonly stream: { cork?(): void; uncork?(): void };
  parse(message: object): void;
  bind(message: object): void;
  execute(message: object): void;
}

/** pg's query object, which sends itself and receives the answers. */
interface PgQuery {
  text: string;
  name?: string | undefined;
  requiresPreparation(): boolean;
  submit(wire: Wire): Error | null;
  handleRowDescription(message: unknown): void;
  handleDataRow(message: { readonly fields?: readonly unknown[] }): void;
  handleCommandComplete(message: unknown, wire: Wire): void;
  handleError(error: ServerMessage, wire: Wire): void;
  handleReadyForQuery(wire: Wire): void;
}

interface ServerMessage {
  position?: string | undefined;
}

type Settle = (error: Error | null, result: unknown) => void;

type PgQueryClass = new (config: string | object, values: unknown, settle: Settle) => PgQuery;

export interface PgClient {
  readonly constructor: { readonly Query: PgQueryClass };
  query(...args: readonly unknown[]): unknown;
}

/** Whether this is pg's own client or a derived one. pg-native sends queries in another way. */
export const isPgClient = (client: unknown): client is PgClient =>
  typeof client === 'object' &&
  client !== null &&
  'connection' in client &&
  typeof (client.connection as Partial<Wire> | null)?.parse === 'function' &&
  'Query' in client.constructor;

export interface Statement {
  readonly text: string;
  readonly values?: unknown;
  /** Other members of the object that `client.query()` accepts: a name, a row mode, types. */
  readonly config?: { readonly name?: unknown } | undefined;
}

/** A statement without values that is sent in front of another one. */
export interface Command {
  readonly text: string;
  readonly name?: string | undefined;
  /** Whether the server already knows the command by its name. */
  readonly isParsed?: boolean;
  /** Called with the values of each row that the command returns. */
  readonly onRow?: ((values: readonly unknown[]) => void) | undefined;
}

/**
 * Sends commands and a statement in one round trip, and resolves with the statement's result.
 * Outside of a transaction block all of them share one transaction: PostgreSQL starts it with the
 * first message and ends it at the Sync. An explicit transaction would take two more round trips,
 * and would commit one that the caller has started in SQL. `onPrefixError` is called when a command
 * failed; the statement has then failed, too. With `name`, the server parses the statement once
 * under that name.
 */
export async function sendWithPrefix(
  client: PgClient | { query(...args: readonly unknown[]): unknown },
  prefix: readonly Command[],
  statement: Statement,
  onPrefixError?: (error: unknown) => void,
  name?: string,
): Promise<unknown> {
  // pg would attribute the answer to a command to the caller's statement name
  const canShare = isPgClient(client) && statement.config?.name === undefined;
  if (canShare) return sendPrefixed(client, prefix, statement, onPrefixError, name);
  if (prefix.length === 0) return sendAlone(client, statement);
  const commands = sendCommands(client, prefix, onPrefixError);
  const [, result] = await Promise.all([commands, sendAlone(client, statement)]); // pg sends them in this order
  return result;
}

/** Sends a statement without commands. A plain text is cheaper for pg than an object. */
export function sendAlone(
  client: { query(...args: readonly unknown[]): unknown },
  { text, values, config }: Statement,
): Promise<unknown> {
  // no deadline: the caller's own statement, limited by the caller
  const sent = config === undefined ? client.query(text, values) : client.query({ ...config, text, values });
  return sent as Promise<unknown>; // a promise, because there is no callback
}

/** Sends the commands separately, when they cannot share a round trip with the statement. */
async function sendCommands(
  client: { query(...args: readonly unknown[]): unknown },
  commands: readonly Command[],
  onError?: (error: unknown) => void,
): Promise<void> {
  try {
    // no deadline: the caller limits the statement that follows
    const results: unknown = await client.query({
      text: commands.map(({ text }) => text).join('; '),
      rowMode: 'array',
    });
    const all = (Array.isArray(results) ? results : [results]) as readonly {
      readonly rows?: readonly unknown[][];
    }[];
    for (const [index, { onRow }] of commands.entries())
      for (const row of all[index]?.rows ?? []) onRow?.(row);
  } catch (error) {
    onError?.(error);
    throw error;
  }
}

function sendPrefixed(
  client: PgClient,
  prefix: readonly Command[],
  statement: Statement,
  onPrefixError: ((error: unknown) => void) | undefined,
  name: string | undefined,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle: Settle = (error, result) => (error ? reject(error) : resolve(result));
    const PrefixedQuery = prefixedQueryClass(client.constructor.Query);
    const { text, values, config } = statement;
    const query = new PrefixedQuery(config === undefined ? text : { ...config, text }, values, settle);
    if (name !== undefined) query.name = name;
    query.setPrefix(prefix, onPrefixError);
    // no deadline: settled by the promise, which the caller limits
    client.query(query);
  });
}

/** Whether a text is one statement, and no COPY, which pg can only reject as a simple query. */
function isOneStatement(text: string): boolean {
  const end = text.indexOf(';');
  return (end === -1 || text.slice(end + 1).trim() === '') && !/\bcopy\b/i.test(text);
}

type PrefixedQueryClass = new (...args: ConstructorParameters<PgQueryClass>) => PgQuery & {
  setPrefix(commands: readonly Command[], onError: ((error: unknown) => void) | undefined): void;
};
const classes = new WeakMap<PgQueryClass, PrefixedQueryClass>();

function prefixedQueryClass(Query: PgQueryClass): PrefixedQueryClass {
  const known = classes.get(Query);
  if (known !== undefined) return known;
  class PrefixedQuery extends Query {
    private commands: readonly Command[] = [];
    private onError: ((error: unknown) => void) | undefined;
    /** The number of unanswered commands, whose answers are not passed to the caller. */
    private left = 0;
    /** The leading commands, as sent in front of the caller's text. */
    private before = '';
    /** The reason why pg did not send the statement. */
    private rejection: Error | null = null;

    setPrefix(commands: readonly Command[], onError: ((error: unknown) => void) | undefined): void {
      this.commands = commands;
      this.onError = onError;
      this.left = commands.length;
      if (this.requiresPreparation()) return;
      this.before = commands.map(({ text }) => `${text};`).join('');
      // without a text, pg rejects the statement
      if (typeof this.text === 'string') this.text = this.before + this.text;
    }

    /**
     * Whether the extended protocol is used. The server parses a text of the simple protocol as a
     * whole, so that a syntax error of the statement would also fail the commands.
     */
    override requiresPreparation(): boolean {
      if (super.requiresPreparation()) return true;
      return this.before === '' && this.left > 0 && Boolean(this.text) && isOneStatement(this.text);
    }

    /** Sends the commands without a Sync, which would end the transaction. */
    override submit(wire: Wire): Error | null {
      // no deadline: these write messages to the socket, and wait for nothing
      if (!this.requiresPreparation())
        return this.rejectLater(super.submit(wire), () => wire.query(this.before));
      wire.stream.cork?.();
      try {
        for (const { text, name, isParsed } of this.commands) {
          if (!isParsed) wire.parse({ text, name });
          wire.bind({ statement: name });
          // no deadline: this writes a message to the socket, and waits for nothing
          wire.execute({});
        }
        return this.rejectLater(super.submit(wire), () => wire.sync());
      } finally {
        wire.stream.uncork?.();
      }
    }

    /** Sends commands even if pg rejects the statement: they must run, and be answered here. */
    private rejectLater(rejection: Error | null, sendCommands: () => void): null {
      this.rejection = rejection;
      if (rejection !== null) sendCommands();
      return null;
    }

    override handleReadyForQuery(wire: Wire): void {
      if (this.rejection === null) super.handleReadyForQuery(wire);
      else super.handleError(this.rejection as ServerMessage, wire);
    }

    override handleRowDescription(message: unknown): void {
      if (this.left === 0) super.handleRowDescription(message);
    }

    override handleDataRow(message: { readonly fields?: readonly unknown[] }): void {
      if (this.left === 0) super.handleDataRow(message);
      else this.commands[this.commands.length - this.left]?.onRow?.(message.fields ?? []);
    }

    override handleCommandComplete(message: unknown, wire: Wire): void {
      if (this.left === 0) super.handleCommandComplete(message, wire);
      else this.left--;
    }

    override handleError(error: ServerMessage, wire: Wire): void {
      if (this.left > 0 && isServerError(error)) this.onError?.(error); // otherwise pg could not serialize a value
      const length = Array.from(this.before).length; // positions count characters, not UTF-16 units
      if (length > 0 && error.position !== undefined)
        error.position = String(Number(error.position) - length);
      super.handleError(error, wire);
    }
  }
  classes.set(Query, PrefixedQuery);
  return PrefixedQuery;
}
