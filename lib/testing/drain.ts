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
  /** The channels to drain; without it all that have a listener in this process. */
  readonly channels?: readonly ChannelLike[];
  /**
   * Whether to handle delayed notifications and pending retries at once; those added meanwhile
   * wait.
   *
   * @defaultValue `false`
   */
  readonly withScheduled?: boolean;
  /**
   * The time limit, in milliseconds.
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
 * Handles all stored notifications that are due on a real database, and those that handlers store
 * meanwhile. Resolves with the numbers of handled and of failed notifications; failed ones wait for
 * their retry or are dead letters. Also drains paused channels and pauses them again: with
 * `pubsub.pause()` and `drain()` a test decides when notifications are handled.
 *
 * Rejects with `TIMED_OUT`, which names what is left, and with the error of a failed claim.
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
  const definitions = channels?.map((channel) => registry.resolve(channel as ChannelLike)); // resolve() checks it
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

/** Returns the pending notifications of one channel or of all, oldest first. */
export async function pending(pubsub: PubSubService, channel?: ChannelLike): Promise<PendingNotification[]> {
  const found: PendingNotification[] = [];
  for await (const notification of pubsub.stored.pending(channel === undefined ? {} : { channel }))
    found.push(notification);
  return found;
}

/** Repeats until a round finds nothing, because handlers may store for other channels. */
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
    left.map(({ channel, due }) => `${due} due on "${channel}"`).join(', ') ||
    'a handler that is still running'
  );
}

const timedOut = (timeoutMs: number, left: string) =>
  new PgPubSubError(
    'TIMED_OUT',
    `expected drain() to finish within ${timeoutMs} ms, got ${left}. ` +
      'Find the handler that hangs or stores notifications endlessly, or raise "timeoutMs".',
  );
