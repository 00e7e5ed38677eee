/** pg's connection: each call sends one message of the extended protocol, or, by `query`, a text of the simple one. */
interface Wire {
  readonly stream: { cork?(): void; uncork?(): void };
  parse(message: object): void;
  bind(message: object): void;
  execute(message: object): void;
}

/** pg's query: sends itself, and is told what comes back. */
interface PgQuery {
  text: string;
  name?: string | undefined;
  requiresPreparation(): boolean;
  submit(wire: Wire): Error | null;
  handleRowDescription(message: unknown): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, wire: Wire): void;
  handleError(error: { position?: string | undefined }, wire: Wire): void;
}

type Settle = (error: Error | null, result: unknown) => void;

type PgQueryClass = new (text: string, values: unknown, settle: Settle) => PgQuery;

export interface PgClient {
  readonly constructor: { readonly Query: PgQueryClass };
  query(...args: readonly unknown[]): unknown;
}

/** pg's own client, or one derived from it. That of pg-native sends its queries in another way. */
export const isPgClient = (client: unknown): client is PgClient =>
  typeof client === 'object' &&
  client !== null &&
  'connection' in client &&
  typeof (client.connection as Partial<Wire> | null)?.parse === 'function' &&
  'Query' in client.constructor;

/** As pg takes it; `name`: it is parsed once under this name. */
export interface Statement {
  readonly text: string;
  readonly values: unknown;
  readonly name?: string | undefined;
}

/** One without values; `isParsed`: the server knows it by its name. */
export interface Command {
  readonly text: string;
  readonly name?: string | undefined;
  readonly isParsed?: boolean;
}

/**
 * Commands and a statement in one round trip, of which only the statement's result is seen. Outside of a transaction they
 * are one: PostgreSQL begins it with the first message and ends it where the client waits. An explicit one would take two
 * round trips more, and commit one that the caller has begun in SQL.
 */
export function queryBehind(
  client: PgClient,
  commands: readonly Command[],
  { text, values, name }: Statement,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle: Settle = (error, result) => (error ? reject(error) : resolve(result));
    const QueryBehind = queryBehindClass(client.constructor.Query);
    const query = new QueryBehind(text, values, settle);
    query.name = name;
    query.follow(commands);
    client.query(query);
  });
}

type QueryBehindClass = new (...args: ConstructorParameters<PgQueryClass>) => PgQuery & {
  follow(commands: readonly Command[]): void;
};
const classes = new WeakMap<PgQueryClass, QueryBehindClass>();

function queryBehindClass(Query: PgQueryClass): QueryBehindClass {
  const known = classes.get(Query);
  if (known !== undefined) return known;
  class QueryBehind extends Query {
    private commands: readonly Command[] = [];
    /** What comes back for the commands is nobody's. */
    private left = 0;
    /** Of the text, what is not the caller's. */
    private before = '';

    follow(commands: readonly Command[]): void {
      this.commands = commands;
      this.left = commands.length;
      if (this.requiresPreparation()) return;
      this.before = commands.map(({ text }) => `${text};`).join('');
      this.text = this.before + this.text; // the simple protocol takes several statements in one text
    }

    /** In the extended protocol, for statements with values: without a Sync, which would end the transaction. */
    override submit(wire: Wire): Error | null {
      if (!this.requiresPreparation()) return super.submit(wire);
      wire.stream.cork?.();
      try {
        for (const { text, name, isParsed } of this.commands) {
          if (!isParsed) wire.parse({ text, name });
          wire.bind({ statement: name });
          wire.execute({});
        }
        return super.submit(wire);
      } finally {
        wire.stream.uncork?.();
      }
    }

    override handleRowDescription(message: unknown): void {
      if (this.left === 0) super.handleRowDescription(message);
    }

    override handleDataRow(message: unknown): void {
      if (this.left === 0) super.handleDataRow(message);
    }

    override handleCommandComplete(message: unknown, wire: Wire): void {
      if (this.left === 0) super.handleCommandComplete(message, wire);
      else this.left--;
    }

    override handleError(error: { position?: string | undefined }, wire: Wire): void {
      const length = Array.from(this.before).length; // positions count characters, not UTF-16 units
      if (length > 0 && error.position !== undefined)
        error.position = String(Number(error.position) - length);
      super.handleError(error, wire);
    }
  }
  classes.set(Query, QueryBehind);
  return QueryBehind;
}
