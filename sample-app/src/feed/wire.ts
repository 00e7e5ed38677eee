import type { EntityChange, Gap, Notification, PayloadOf } from 'nestjs-pgpubsub';
import { Handling } from '../processes/handling.entity.js';
import { ListenerFailed, PostChanged } from '../channels.js';

/** Something that was heard here, in words. */
export interface WireLine {
  readonly id: number;
  readonly at: Date;
  readonly kind: 'change' | 'failure' | 'gap';
  readonly text: string;
}

const KEPT = 60;

/** The newest lines of what this process has heard, whoever looks on. */
export class Wire {
  private lines: readonly WireLine[] = [];
  private lastId = 0;

  /** The newest first. */
  get newest(): readonly WireLine[] {
    return this.lines;
  }

  hear(notification: Notification<object>): void {
    const isFailure = notification.channel === ListenerFailed.name;
    this.add(isFailure ? 'failure' : 'change', describe(notification));
  }

  miss({ from, to }: Gap): void {
    const ms = to.getTime() - from.getTime();
    this.add(
      'gap',
      `Nothing was heard for up to ${ms} ms: the cache is cleared, and this page is read again`,
    );
  }

  private add(kind: WireLine['kind'], text: string): void {
    const line = { id: ++this.lastId, at: new Date(), kind, text };
    this.lines = [line, ...this.lines].slice(0, KEPT);
  }
}

function describe({ channel, payload }: Notification<object>): string {
  if (channel === PostChanged.name) return `${channel} ${JSON.stringify(payload)}`;
  if (channel === ListenerFailed.name) return describeFailure(payload as PayloadOf<typeof ListenerFailed>);
  const { operation, table, entity } = payload as EntityChange; // the rest of what is observed are tables
  if (entity instanceof Handling) return describeHandling(entity);
  return `${operation} ${table} ${JSON.stringify(entity)}`;
}

const describeHandling = ({ process, channel, notificationId, attempt }: Handling): string =>
  `${process} has handled notification ${notificationId} of ${channel}${attempt > 1 ? `, at attempt ${attempt}` : ''}`;

function describeFailure({ process, channel, attempt, delayMs }: PayloadOf<typeof ListenerFailed>): string {
  const next = delayMs === null ? 'it is a dead letter now' : `again in ${Math.round(delayMs)} ms`;
  return `${process} failed with ${channel}, attempt ${attempt}: ${next}`;
}
