import { randomUUID } from 'node:crypto';
import { sendAlone, sendWithPrefix, type Command, type PgClient, type Statement } from './prefixed-query.js';

/** Members of pg's connection that know of named statements, and tell the server to forget one. */
interface NamingConnection {
  readonly parsedStatements: Record<string, string>;
  /** pg 8.23 and later */
  readonly submittedNamedStatements?: Record<string, string>;
  close(message: { readonly type: 'S'; readonly name: string }): void;
}

interface Named {
  readonly text: string;
  readonly name: string;
  isParsed: boolean;
}

/** The number of different texts that are remembered. */
const MAX_TEXTS = 100;
/** Longer texts are not remembered. */
const MAX_LENGTH = 10_000;

/** Names are never reused: one that was left behind on the server meets no other. */
const PREFIX = `pgpubsub_${randomUUID().slice(0, 8)}`;
let count = 0;

/**
 * Parses and plans once, under a name, what the handlers of a claim repeat. A name ends with its claim: behind a
 * pooler, the next transaction may be on another connection of the server. Owned by the claim's connection.
 */
export class PreparedStatementCache {
  /** Names by text; `undefined` for a text that was seen once. */
  private readonly texts = new Map<string, Named | undefined>();
  private readonly forgotten: Named[] = [];

  constructor(private readonly client: PgClient) {}

  /** Sends commands and a statement as `sendWithPrefix()` does. */
  send(
    prefix: readonly Command[],
    statement: Statement,
    onPrefixError: (error: unknown) => void,
  ): Promise<unknown> {
    const { text, values, config } = statement;
    const hasValues = Array.isArray(values) && values.length > 0; // a text without values may be several statements
    const known = hasValues && config?.name === undefined ? this.find(text) : undefined;
    if (known === undefined && prefix.length === 0) return sendAlone(this.client, statement);
    const commands = hasValues ? prefix.map((command) => this.findCommand(command)) : prefix;
    const sent = sendWithPrefix(this.client, commands, statement, onPrefixError, known?.name);
    const named = [...commands, known].filter((one): one is Named => one !== undefined && 'isParsed' in one);
    if (named.length > 0)
      sent.then(
        () => settle(named),
        () => this.forget(named),
      );
    return sent;
  }

  /** Forgets all names, before the transaction ends; what it sends leaves ahead of the next statement. */
  end(): void {
    for (const named of this.texts.values()) if (named !== undefined) this.forgotten.push(named);
    this.texts.clear();
    if (this.forgotten.length === 0) return;
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

  /** A command with a handler for its rows is sent as it is: it is rare. */
  private findCommand(command: Command): Command {
    return (command.onRow === undefined && this.find(command.text)) || command;
  }

  /** Forgets the statements of a call that failed: which of them the server knows is uncertain. */
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
