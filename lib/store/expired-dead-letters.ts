import type { ChannelDefinition } from '../channels/channel.definition.js';
import { ROUND_TRIP_MS, withDeadline } from '../common/deadline.js';
import type { DeadLetterOptions } from '../common/options.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import { deleteExpiredDeadLetters } from './expired-dead-letters.sql.js';

/** The maximum number of dead letters that one statement deletes. */
const BATCH_SIZE = 1_000;

/**
 * Deletes the dead letters that are older than `keepMsByChannel`, in milliseconds of the server's
 * clock since they became dead letters. Resolves with their number, after as many statements as
 * needed; with a pool as `executor`, each is a transaction of its own. Channels that are not in the
 * map keep theirs. Rejects with `TIMED_OUT` if a statement takes more than 10 s.
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
    const [found] = rows as { count: string }[]; // the columns of the statement
    const count = Number(found?.count ?? 0);
    total += count;
    if (count < BATCH_SIZE) return total;
  }
}

/**
 * Returns the ages, in milliseconds, at which dead letters are deleted: the channel's own option,
 * else the module's. Omits channels that keep theirs.
 */
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
