import type { PubSubEvent } from '../common/events.js';
import { isServerError } from '../common/server-error.js';

/**
 * Detects from the events of an instance that its pool reaches the server again, and lets the
 * LISTEN connection retry at once. Only after the pool has failed as well: beside a healthy pool,
 * the LISTEN connection has a problem of its own and keeps its growing pauses. Owned by the
 * instance.
 */
export class PoolWatch {
  private hasFailed = false;

  constructor(private readonly reopenNow: () => void) {}

  record(event: PubSubEvent): void {
    const { type } = event;
    if (type === 'listening') this.hasFailed = false;
    else if (FAILURES.has(type)) this.hasFailed ||= 'error' in event && !isServerError(event.error);
    else if (this.hasFailed && SUCCESSES.has(type)) this.reopenNow();
  }
}

const FAILURES: ReadonlySet<PubSubEvent['type']> = new Set(['claim-failed', 'publish-failed']);
const SUCCESSES: ReadonlySet<PubSubEvent['type']> = new Set([
  'claimed',
  'claim-recovered',
  'published',
  'stored',
]);
