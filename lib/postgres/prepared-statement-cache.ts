import { randomUUID } from 'node:crypto';
import { sendAlone, sendWithPrefix, type Command, type PgClient, type Statement } from './prefixed-query.js';

/** Members of pg's connection that track named statements and make the server forget one. */
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

const MAX_TEXTS = 100;
const MAX_LENGTH = 10_000;

/** Never reused, so that no name collides with one that was left on the server. */
const PREFIX = `pgpubsub_${randomUUID().slice(0, 8)}`;
let count = 0;

/**
 * Lets the server parse and plan repeated statements of handlers once, under a name. A name ends
 * with its claim: behind a pooler, the next transaction may use another server connection. Owned by
 * the claim's connection.
 */
export class PreparedStatementCache {
  /** The names by text; `undefined` for a text that was seen once. */
  private readonly texts = new Map<string, Named | undefined>();
  private readonly forgotten: Named[] = [];

  constructor(private readonly client: PgClient) {}

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

  /** Forgets all names before the transaction ends; the messages precede the next statement. */
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

  /** Returns the named form of a command. Commands with a row handler are rare and stay unnamed. */
  private findCommand(command: Command): Command {
    return (command.onRow === undefined && this.find(command.text)) || command;
  }

  /** Forgets the statements of a failed call: the server may or may not know them. */
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
