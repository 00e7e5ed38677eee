import type { ChannelDefinition } from '../channels/channel.definition.js';
import { ROUND_TRIP_MS, withDeadline } from '../common/deadline.js';
import type { DeadLetterOptions } from '../common/options.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import { deleteExpiredDeadLetters } from './expired-dead-letters.sql.js';

/** The largest number of dead letters that one statement deletes. */
const BATCH_SIZE = 1_000;

/**
 * Deletes the dead letters that are older than their channel keeps them, in milliseconds since they became dead letters, by the
 * server's clock. Resolves with their number, after as many statements as needed; each is a transaction of its own when `executor` is a
 * pool. Channels that are not in the map keep theirs. Rejects with `TIMED_OUT` when a statement takes more than 10 s.
 */
export async function removeExpiredDeadLetters(
  executor: SqlExecutor,
  schema: string,
  keepMsByChannel: ReadonlyMap<string, number>,
): Promise<number> {
  if (keepMsByChannel.size === 0) return 0;
  const parameters = [[...keepMsByChannel.keys()], [...keepMsByChannel.values()]];
  const what = 'the database to delete expired dead letters';
  let total = 0;
  for (;;) {
    const rows = await withDeadline(
      executor.query(deleteExpiredDeadLetters(schema, BATCH_SIZE), parameters),
      {
        ms: ROUND_TRIP_MS,
        what,
      },
    );
    const [found] = rows as { count: string }[]; // as the statement says
    const count = Number(found?.count ?? 0);
    total += count;
    if (count < BATCH_SIZE) return total;
  }
}

/** The ages at which channels' dead letters are deleted, where they are: the channel's own, or the module's. */
export function keptDeadLetters(
  channels: Iterable<ChannelDefinition>,
  module: DeadLetterOptions,
): Map<string, number> {
  const kept = new Map<string, number>();
  for (const { name, delivery, deadLetters } of channels) {
    const { keepMs } = { ...module, ...deadLetters };
    if (delivery === 'exactly-once' && keepMs !== false) kept.set(name, keepMs);
  }
  return kept;
}
