import { randomUUID } from 'node:crypto';
import { queryBehind, type PgClient } from '../common/query-behind.js';

/** What pg's connection knows of statements with names, and how the server is told to forget one. */
interface NamingConnection {
  readonly parsedStatements: Record<string, string>;
  /** pg 8.21 and later */
  readonly submittedNamedStatements?: Record<string, string>;
  close(message: { readonly type: 'S'; readonly name: string }): void;
}

interface Named {
  readonly text: string;
  readonly name: string;
  isParsed: boolean;
}

/** So many different texts are kept in mind, … */
const MAX_TEXTS = 100;
/** … that are no longer. */
const MAX_LENGTH = 10_000;

/** Names are never used again: one that was left behind on the server meets no other. */
const PREFIX = `pgpubsub_${randomUUID().slice(0, 8)}`;
let count = 0;

/**
 * What the handlers of a claim repeat is parsed and planned once, under a name. Only until the claim ends: behind a
 * pooler, the next transaction may be on another connection of the server. Owned by the claim's session.
 */
export class RepeatedStatements {
  /** By text; without a name: it was met once. */
  private readonly texts = new Map<string, Named | undefined>();
  private readonly forgotten: Named[] = [];

  constructor(private readonly client: PgClient) {}

  /** Commands and a statement, as `queryBehind()` does. */
  send(commands: readonly string[], text: string, values: unknown): unknown {
    const hasValues = Array.isArray(values) && values.length > 0; // a text without any may be several statements
    const statement = hasValues ? this.find(text) : undefined;
    if (statement === undefined && commands.length === 0) return this.client.query(text, values);
    const ahead = commands.map((command) => (hasValues && this.find(command)) || { text: command });
    const sent = queryBehind(this.client, ahead, { text, values, name: statement?.name });
    const named = [...ahead, statement].filter((one): one is Named => one !== undefined && 'name' in one);
    if (named.length > 0)
      sent.then(
        () => settle(named),
        () => this.forget(named),
      );
    return sent;
  }

  /** Before the transaction ends; what it sends leaves ahead of the next statement. */
  end(): void {
    for (const named of this.texts.values()) if (named !== undefined) this.forgotten.push(named);
    this.texts.clear();
    const { connection } = this.client as unknown as { readonly connection: NamingConnection };
    for (const { name } of this.forgotten.splice(0)) {
      delete connection.parsedStatements[name];
      delete connection.submittedNamedStatements?.[name];
      connection.close({ type: 'S', name });
    }
  }

  private find(text: string): Named | undefined {
    const known = this.texts.get(text);
    if (known !== undefined) return known;
    if (!this.texts.has(text)) {
      if (this.texts.size < MAX_TEXTS && text.length <= MAX_LENGTH) this.texts.set(text, undefined);
      return undefined;
    }
    const named = { text, name: `${PREFIX}_${(count++).toString(36)}`, isParsed: false };
    this.texts.set(text, named);
    return named;
  }

  /** One of them has failed: which of them the server knows now is not certain. */
  private forget(named: readonly Named[]): void {
    for (const one of named) {
      if (this.texts.get(one.text) === one) this.texts.delete(one.text);
      this.forgotten.push(one);
    }
  }
}

function settle(named: readonly Named[]): void {
  for (const one of named) one.isParsed = true;
}
