import type { EntityChange, Gap, Notification, PayloadOf } from 'nestjs-pgpubsub';
import { Handling } from '../processes/handling.entity.js';
import { ListenerFailed, PostChanged } from '../channels.js';

/** A received notification or a gap, as text. */
export interface LogEntry {
  readonly id: number;
  readonly at: Date;
  readonly kind: 'change' | 'failure' | 'gap';
  readonly text: string;
}

const MAX_ENTRIES = 60;

/** The newest notifications that this process received. */
export class NotificationLog {
  private entries: readonly LogEntry[] = [];
  private lastId = 0;

  /** The entries, newest first. */
  get newest(): readonly LogEntry[] {
    return this.entries;
  }

  addNotification(notification: Notification<object>): void {
    const isFailure = notification.channel === ListenerFailed.name;
    this.add(isFailure ? 'failure' : 'change', describe(notification));
  }

  addGap({ from, to }: Gap): void {
    const ms = to.getTime() - from.getTime();
    this.add(
      'gap',
      `Notifications may have been missed for up to ${ms} ms. The cache was cleared and this page was updated.`,
    );
  }

  private add(kind: LogEntry['kind'], text: string): void {
    const entry = { id: ++this.lastId, at: new Date(), kind, text };
    this.entries = [entry, ...this.entries].slice(0, MAX_ENTRIES);
  }
}

function describe({ channel, payload }: Notification<object>): string {
  if (channel === PostChanged.name) return `${channel} ${JSON.stringify(payload)}`;
  if (channel === ListenerFailed.name) return describeFailure(payload as PayloadOf<typeof ListenerFailed>);
  const { operation, table, entity } = payload as EntityChange; // all other observed channels carry table changes
  if (entity instanceof Handling) return describeHandling(entity);
  return `${operation} ${table} ${JSON.stringify(entity)}`;
}

const describeHandling = ({ process, channel, notificationId, attempt }: Handling): string =>
  `${process} handled notification ${notificationId} on ${channel}${attempt > 1 ? ` at attempt ${attempt}` : ''}`;

function describeFailure({ process, channel, attempt, delayMs }: PayloadOf<typeof ListenerFailed>): string {
  const next = delayMs === null ? 'moved to the dead letters' : `retry in ${Math.round(delayMs)} ms`;
  return `${process} failed on ${channel} at attempt ${attempt}: ${next}`;
}
