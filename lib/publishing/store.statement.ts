import { TEXT_SEPARATOR, storeNotifications } from './publish.sql.js';
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

/** Stores notifications in `schema`, which is known once the DataSource is connected. */
export const createStoreStatement = (schema: () => string): Statement<StoredMessage> => {
  let sql: string | undefined;
  return {
    countTogether(calls) {
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
    },

    async execute(executor, messages) {
      sql ??= storeNotifications(schema());
      await executor.query(sql, parametersOf(messages));
    },
  };
};

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
