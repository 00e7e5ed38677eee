import { LiveListeners, countedOf, type CountedListener, type CountedRow } from './live-listeners.js';
import type { StoredConditionsOptions } from './stored-conditions.js';
import type { Conditions } from './stored-filter.js';
import { countDeadLettersByListener } from './stored.sql.js';

/** The dead letters that a retry takes, and those that stay. */
export interface RetryableDeadLetters {
  /** Restricts conditions, from parameter `first` on, to the letters that are retried. */
  readonly restrict: (where: Conditions, first: number) => Conditions;
  /** The letters that stay: neither this application nor another process has their listener. */
  readonly left: readonly CountedListener[];
}

export const ALL_DEAD_LETTERS: RetryableDeadLetters = { restrict: (where) => where, left: [] };

/**
 * Separates the dead letters under these conditions, whose first parameter is $1. A retry skips
 * letters whose listener no process has: they would stay pending indefinitely, and on an ordered
 * channel block their key. While no process is known, all letters are retried.
 *
 * no deadline: a call of the application, limited by the options of its DataSource
 */
export async function findRetryable(
  { dataSource, storage, listenersOf }: StoredConditionsOptions,
  where: Conditions,
): Promise<RetryableDeadLetters> {
  const { manager } = dataSource;
  const { schema } = storage();
  const live = await LiveListeners.find(manager, schema);
  if (live === undefined) return ALL_DEAD_LETTERS;
  const { sql, parameters } = live.exclude(where, 1);
  const rows = await manager.query<CountedRow[]>(countDeadLettersByListener(schema, sql), [...parameters]);
  const [own, left] = [[] as CountedListener[], [] as CountedListener[]];
  for (const letters of rows.map(countedOf))
    (listenersOf?.(letters.channel)?.includes(letters.listener) ? own : left).push(letters);
  for (const { channel, listener } of own) live.add(channel, listener);
  return { restrict: (conditions, first) => live.restrict(conditions, first), left };
}
