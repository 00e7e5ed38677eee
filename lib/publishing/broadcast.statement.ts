import { TEXT_SEPARATOR, sendBroadcast, sendBroadcasts } from './publish.sql.js';
import { MAX_STATEMENT_MESSAGES, type Message, type Statement } from './statement.js';

/** One broadcast as it goes to the server. */
export interface BroadcastMessage extends Message {
  readonly text: string;
}

export const broadcastStatement: Statement<BroadcastMessage> = {
  /**
   * PostgreSQL delivers equal notifications of one transaction once, and these calls are transactions of their own:
   * from the first repetition on they wait for the next statement. (PostgreSQL 12 and older compare each with each.)
   */
  countTogether(calls) {
    const seen = new Set<string>();
    let taken = 0;
    for (const { messages } of calls) {
      const keys = messages.map(({ channel, text }) => `${channel}\0${text}`);
      const isFull = seen.size + keys.length > MAX_STATEMENT_MESSAGES;
      if (taken > 0 && (isFull || keys.some((key) => seen.has(key)))) break;
      for (const key of keys) seen.add(key);
      taken++;
    }
    return taken;
  },

  async execute(executor, messages) {
    const [first] = messages;
    if (first !== undefined && messages.length === 1) {
      // no deadline: a call of the application, limited by the options of its DataSource
      await executor.query(sendBroadcast, [first.channel, first.text]);
      return;
    }
    const channels = messages.map(({ channel }) => channel);
    const texts = messages.map(({ text }) => TEXT_SEPARATOR + text).join('');
    // no deadline: a call of the application, limited by the options of its DataSource
    await executor.query(sendBroadcasts, [channels, texts]);
  },
};
