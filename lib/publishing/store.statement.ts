import type { SqlExecutor } from '../common/sql-executor.js';
import { TEXT_SEPARATOR, storeNotification, storeNotifications, type StoredValue } from './publish.sql.js';
import { MAX_STATEMENT_MESSAGES, type Message, type Statement } from './statement.js';

/** One notification as it is stored. */
export interface StoredMessage extends Message {
  /** JSON text; `null` for none. */
  readonly payload: string | null;
  readonly context: string | null;
  readonly key: string | null;
  readonly availableAt: Date | null;
  readonly delayMs: number | null;
  /** Wake those who claim? */
  readonly hints: boolean;
}

/** Texts of several calls are joined up to so many characters: the server holds a statement several times. */
const MAX_STATEMENT_LENGTH = 8_000_000;

/** Stores notifications in `schema`, which is known once the DataSource is connected. Owned by the publisher. */
export class StoreStatement implements Statement<StoredMessage> {
  /** By what a notification says: few, since all of them are written once. */
  private readonly texts = new Map<string, string>();

  constructor(private readonly schema: () => string) {}

  countTogether(calls: readonly { readonly messages: readonly StoredMessage[] }[]): number {
    let taken = 0;
    let count = 0;
    let length = 0;
    for (const { messages } of calls) {
      count += messages.length;
      for (const { payload } of messages) length += payload?.length ?? 0;
      if (taken > 0 && (count > MAX_STATEMENT_MESSAGES || length > MAX_STATEMENT_LENGTH)) break;
      taken++;
    }
    return taken;
  }

  async execute(executor: SqlExecutor, messages: readonly StoredMessage[]): Promise<void> {
    const [first] = messages;
    if (first !== undefined && messages.length === 1) return this.storeOne(executor, first);
    const text = this.textOf('many', () => storeNotifications(this.schema()));
    // no deadline: a call of the application, limited by the options of its DataSource
    await executor.query(text, parametersOf(messages));
  }

  private async storeOne(executor: SqlExecutor, message: StoredMessage): Promise<void> {
    const { channel, payload, hints } = message;
    const given = OPTIONAL_VALUES.filter((value) => message[value] !== null);
    const text = this.textOf(`${given.join()} ${hints}`, () =>
      storeNotification(this.schema(), given, hints),
    );
    // no deadline: a call of the application, limited by the options of its DataSource
    await executor.query(text, [channel, payload, ...given.map((value) => parameterOf(message[value]))]);
  }

  private textOf(shape: string, render: () => string): string {
    const text = this.texts.get(shape) ?? render();
    this.texts.set(shape, text);
    return text;
  }
}

const OPTIONAL_VALUES: readonly StoredValue[] = ['context', 'key', 'availableAt', 'delayMs'];

/** pg would write a Date in the time zone of this process. */
const parameterOf = (value: StoredMessage[StoredValue]): unknown =>
  value instanceof Date ? value.toISOString() : value;

/** What is the same in all of them is sent once, what nobody uses not at all: the statement fills up. */
function parametersOf(messages: readonly StoredMessage[]): unknown[] {
  const channels = new Set<string>();
  const hinted = new Set<string>();
  let payloads = '';
  for (const { channel, payload, hints } of messages) {
    channels.add(channel);
    if (hints) hinted.add(channel);
    payloads += payload === null ? TEXT_SEPARATOR : TEXT_SEPARATOR + payload;
  }
  return [
    channels.size === 1 ? [...channels] : messages.map(({ channel }) => channel),
    payloads,
    listOf(messages, ({ context }) => context),
    listOf(messages, ({ key }) => key),
    listOf(messages, ({ availableAt }) => availableAt?.toISOString() ?? null),
    listOf(messages, ({ delayMs }) => delayMs),
    [...hinted],
  ];
}

function listOf<T>(
  messages: readonly StoredMessage[],
  valueOf: (message: StoredMessage) => T | null,
): (T | null)[] | null {
  return messages.some((message) => valueOf(message) !== null) ? messages.map(valueOf) : null;
}
