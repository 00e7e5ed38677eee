import type { TestDatabase } from './database.js';
import { Mailbox } from './mailbox.js';

/** A notification of a trigger, as it is on the wire. */
export interface Sent {
  readonly operation: string;
  readonly schema: string;
  readonly table: string;
  readonly old: Record<string, unknown> | null;
  readonly new: Record<string, unknown> | null;
  readonly context?: Record<string, unknown>;
  readonly truncated?: boolean;
}

/**
 * Collects the notifications of a channel from now on, as any client receives them; each `end()`
 * returns those since the last one.
 */
export async function listen(database: TestDatabase, channel: string): Promise<{ end(): Promise<Sent[]> }> {
  const client = await database.client();
  const texts = new Mailbox<string>();
  client.on('notification', ({ payload }) => texts.push(payload ?? ''));
  await client.query(`listen "${channel}"`);
  let ends = 0;
  return {
    async end() {
      const end = `end ${++ends}`;
      await client.query(`notify "${channel}", '${end}'`);
      await texts.find((text) => text === end);
      const all = await texts.take(texts.untaken.indexOf(end) + 1);
      return all.slice(0, -1).map((text) => JSON.parse(text) as Sent);
    },
  };
}

/** The new row of each notification, or else its old row. */
export const rowsOf = (sent: readonly Sent[]) => sent.map((one) => one.new ?? one.old);
