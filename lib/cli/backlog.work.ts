import { setTimeout as delay } from 'node:timers/promises';
import { backoffDelayMs } from '../common/backoff.js';
import { messageOf } from '../common/errors.js';
import { counted } from '../common/wording.js';
import type { PubSubEvent } from '../common/events.js';
import type { Instance } from '../instance/instance.js';
import type { ListenerCandidate } from '../instance/listener-selection.js';
import { findBacklog } from '../observability/backlog.js';
import type { BacklogWatcher } from './backlog.report.js';
import { CommandFailure, EXIT } from './command-failure.js';

/** Failed claims are retried for about ten seconds, in case the database is restarting. */
const ROUNDS = 7;
const PAUSE = { minDelayMs: 250, maxDelayMs: 10_000 };

/**
 * Handles the notifications stored before this process started, and reports to a watcher. Created
 * before listeners run, because they start with the backlog immediately; owned by the process.
 */
export class BacklogWork {
  private readonly instances = new Map<Instance, string[]>();
  private claimError: unknown;

  constructor(private readonly watcher: BacklogWatcher) {}

  /** Counts the due notifications of these listeners, and from now on their progress. */
  async begin(listeners: readonly ListenerCandidate[]): Promise<void> {
    for (const { instance, listener } of listeners) {
      if (listener.channel.delivery !== 'exactly-once') continue;
      this.instances.set(instance, [...(this.instances.get(instance) ?? []), listener.channel.name]);
    }
    const due = await Promise.all(
      Array.from(this.instances, ([instance, channels]) => countDue(instance, channels)),
    );
    this.watcher.found(due.reduce((sum, count) => sum + count, 0));
    for (const { events } of this.instances.keys()) events.subscribe((event) => this.receive(event));
  }

  /** Resolves when nothing claimable is left; `false` if the process has to stop before. */
  async run(ending: AbortSignal): Promise<boolean> {
    for (let round = 1; ; round++) {
      this.claimError = undefined;
      const recovering = Array.from(this.instances.keys(), (instance) => instance.recover());
      await Promise.all(recovering).catch((error: unknown) => (this.claimError = error)); // claims failed
      if (ending.aborted) return false;
      if (this.claimError === undefined) return true;
      if (round === ROUNDS) throw cannotClaim(this.claimError);
      await delay(backoffDelayMs(round, PAUSE), undefined, { signal: ending }).catch(() => undefined);
    }
  }

  /** Throws if due notifications remain because their channels are paused. */
  async assertNoneLeft(): Promise<void> {
    for (const [instance, channels] of this.instances) {
      const { here, everywhere } = instance.workers.paused;
      const paused = channels.filter((channel) => here.includes(channel) || everywhere.includes(channel));
      const left = paused.length === 0 ? 0 : await countDue(instance, paused);
      if (left > 0) throw leftPaused(left, paused);
    }
  }

  flushLog(): void {
    for (const instance of this.instances.keys()) instance.flushLog();
  }

  private receive(event: PubSubEvent): void {
    if (event.type === 'claim-failed') this.claimError = event.error;
    if (event.type === 'claimed') this.watcher.advanced(event.handled, event.failed);
  }
}

async function countDue({ dataSource, database }: Instance, channels: readonly string[]): Promise<number> {
  const { schema } = database.storage;
  const backlog = await findBacklog(dataSource.manager, { schema, countUpTo: null });
  const wanted = backlog.filter(({ channel }) => channels.includes(channel));
  return wanted.reduce((sum, { due }) => sum + due, 0);
}

const cannotClaim = (error: unknown) =>
  new CommandFailure(
    `claims failed repeatedly: ${messageOf(error)}. Notifications that were not handled are still stored.`,
    EXIT.failed,
    { cause: error },
  );

const leftPaused = (count: number, channels: readonly string[]) =>
  new CommandFailure(
    `${counted(count, 'due notification')} left, because channels are paused: ${channels.map((channel) => `"${channel}"`).join(', ')}. ` +
      'Resume them with pubsub.resume(channels, { everywhere: true }), then run the command again.',
    EXIT.failed,
  );
