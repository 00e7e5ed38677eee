import * as v from 'valibot';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { ChannelLike } from '../channels/channel.registry.js';
import { isTimedOut, withDeadline } from '../common/deadline.js';
import { PgPubSubError } from '../common/errors.js';
import { INSTANCE } from '../common/tokens.js';
import type { Instance } from '../instance/instance.js';
import { group, milliseconds, parseShape } from '../common/parse.js';
import { findBacklog } from '../observability/backlog.js';
import type { PubSubService } from '../pubsub.service.js';
import type { PendingNotification } from '../store/stored-notifications.js';
import { makeDue } from './drain.sql.js';

/** Options of {@link drain}; all are optional. */
export interface DrainOptions {
  /** Only these; without it all that have a listener in this process. */
  readonly channels?: readonly ChannelLike[];
  /**
   * What waits for a later time, because it was sent so or has failed, is due at once. What is put off meanwhile waits.
   *
   * @defaultValue `false`
   */
  readonly withScheduled?: boolean;
  /**
   * How long it may take, in milliseconds.
   *
   * @defaultValue `10_000`
   */
  readonly timeoutMs?: number;
}

const optionsShape = group({
  channels: v.optional(v.array(v.unknown())),
  withScheduled: v.optional(v.boolean(), false),
  timeoutMs: v.optional(milliseconds(1), 10_000),
});

/**
 * Handles everything that is stored and due on a real database, and what the handlers store meanwhile; resolves when
 * nothing claimable is left, with how many notifications were handled, and how many failed (those wait for their retry, or
 * are dead letters). Channels that are paused are drained, too, and are paused again afterwards: `pubsub.pause()` and
 * `drain()` together make a test decide when anything is handled.
 *
 * Rejects with `TIMED_OUT`, which says what is left, and with what kept it from claiming.
 */
export async function drain(
  pubsub: PubSubService,
  options: DrainOptions = {},
): Promise<{ handled: number; failed: number }> {
  const { channels, withScheduled, timeoutMs } = parseShape(optionsShape, options, {
    code: 'INVALID_ARGUMENT',
    what: 'drain()',
  });
  const instance = pubsub[INSTANCE];
  const { workers, registry, dataSource, database } = instance;
  const definitions = channels?.map((channel) => registry.resolve(channel as ChannelLike)); // which it checks
  const states = workers.statesOf(definitions);
  const paused = states.filter(({ isPaused }) => isPaused).map(({ channel }) => channel);
  const names = states.map(({ channel }) => channel);
  const before = workers.countOf(definitions);
  if (withScheduled)
    // no deadline: a test's statement on its own database, limited by the test
    await dataSource.manager.query(makeDue(database.storage.schema), [names]);
  try {
    await pubsub.resume(paused);
    await inTime(drainAll(instance, definitions), timeoutMs, () => leftOver(instance, names));
  } finally {
    await pubsub.pause(paused);
  }
  const after = workers.countOf(definitions);
  return { handled: after.handled - before.handled, failed: after.failed - before.failed };
}

/** The stored notifications that wait, on one channel or on all, oldest first. */
export async function pending(pubsub: PubSubService, channel?: ChannelLike): Promise<PendingNotification[]> {
  const found: PendingNotification[] = [];
  for await (const notification of pubsub.stored.pending(channel === undefined ? {} : { channel }))
    found.push(notification);
  return found;
}

/** Until a round of all channels has found nothing: handlers of one store for another. */
async function drainAll(
  { workers, events }: Instance,
  channels: readonly ChannelDefinition[] | undefined,
): Promise<void> {
  const failures: unknown[] = [];
  const subscription = events.subscribe((event) => {
    if (event.type === 'claim-failed') failures.push(event.error);
  });
  const done = () => Object.values(workers.countOf(channels)).join('/');
  try {
    for (let before; before !== done() && failures.length === 0;) {
      before = done();
      await workers.recover(channels);
    }
  } finally {
    subscription.unsubscribe();
  }
  if (failures.length > 0) throw failures[0];
}

async function inTime(
  work: Promise<void>,
  timeoutMs: number,
  leftOver: () => Promise<string>,
): Promise<void> {
  try {
    await withDeadline(work, { ms: timeoutMs, what: 'drain()' });
  } catch (error) {
    throw isTimedOut(error) ? timedOut(timeoutMs, await leftOver()) : error;
  }
}

async function leftOver({ dataSource, database }: Instance, names: readonly string[]): Promise<string> {
  const { schema } = database.storage;
  const backlog = await findBacklog(dataSource.manager, { schema, countUpTo: null });
  const left = backlog.filter(({ channel, due }) => due > 0 && names.includes(channel));
  return (
    left.map(({ channel, due }) => `${due} due on "${channel}"`).join(', ') || 'a handler that still runs'
  );
}

const timedOut = (timeoutMs: number, left: string) =>
  new PgPubSubError(
    'TIMED_OUT',
    `expected drain() to be done within ${timeoutMs} ms, got ${left}. ` +
      'Look for a handler that hangs, or one that stores without end; or raise "timeoutMs".',
  );
