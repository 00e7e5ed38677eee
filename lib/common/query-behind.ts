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
  requiresPreparation(): boolean;
  submit(wire: Wire): Error | null;
  handleRowDescription(message: unknown): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, wire: Wire): void;
  handleError(error: { position?: string | undefined }, wire: Wire): void;
}

type Settle = (error: Error | null, result: unknown) => void;

export interface PgClient {
  readonly constructor: { readonly Query: new (text: string, values: unknown, settle: Settle) => PgQuery };
  query(...args: readonly unknown[]): unknown;
}

/** pg's own client, or one derived from it. That of pg-native sends its queries in another way. */
export const isPgClient = (client: unknown): client is PgClient =>
  typeof client === 'object' &&
  client !== null &&
  'connection' in client &&
  typeof (client.connection as Partial<Wire> | null)?.parse === 'function' &&
  'Query' in client.constructor;

/**
 * Commands and a statement in one round trip, of which only the statement's result is seen. Outside of a transaction they
 * are one: PostgreSQL begins it with the first message and ends it where the client waits. An explicit one would take two
 * round trips more, and commit one that the caller has begun in SQL.
 */
export function queryBehind(
  client: PgClient,
  commands: readonly string[],
  text: string,
  values: unknown,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle: Settle = (error, result) => (error ? reject(error) : resolve(result));
    const query = new client.constructor.Query(text, values, settle);
    if (query.requiresPreparation()) sendBefore(query, commands);
    else writeBefore(query, commands);
    skipResults(query, commands.length);
    client.query(query);
  });
}

/** In the extended protocol, for statements with parameters: without a Sync, which would end the transaction. */
function sendBefore(query: PgQuery, commands: readonly string[]): void {
  const submit = query.submit.bind(query);
  query.submit = (wire) => {
    wire.stream.cork?.();
    try {
      for (const text of commands) {
        wire.parse({ text });
        wire.bind({});
        wire.execute({});
      }
      return submit(wire);
    } finally {
      wire.stream.uncork?.();
    }
  };
}

/** In the simple protocol, for texts, which may hold several statements. */
function writeBefore(query: PgQuery, commands: readonly string[]): void {
  const before = commands.map((command) => `${command};`).join('');
  query.text = before + query.text;
  const handleError = query.handleError.bind(query);
  query.handleError = (error, wire) => {
    const length = Array.from(before).length; // positions count characters, not UTF-16 units
    if (error.position !== undefined) error.position = String(Number(error.position) - length);
    handleError(error, wire);
  };
}

/** What comes back for the commands is nobody's. */
function skipResults(query: PgQuery, count: number): void {
  let left = count;
  const handleRowDescription = query.handleRowDescription.bind(query);
  const handleDataRow = query.handleDataRow.bind(query);
  const handleCommandComplete = query.handleCommandComplete.bind(query);
  query.handleRowDescription = (message) => left === 0 && handleRowDescription(message);
  query.handleDataRow = (message) => left === 0 && handleDataRow(message);
  query.handleCommandComplete = (message, wire) => {
    if (left === 0) handleCommandComplete(message, wire);
    else left--;
  };
}
