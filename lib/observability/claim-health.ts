import { isTimedOut } from '../common/deadline.js';
import { isPgPubSubError, messageOf, type PgPubSubErrorCode } from '../common/errors.js';
import type { PubSubEvent } from '../common/events.js';
import { isServerError } from '../common/server-error.js';
import { counted } from '../common/wording.js';

/** Consecutive failures. */
interface Failing {
  readonly since: number;
  readonly count: number;
  readonly error: unknown;
}

/** Failures of rows, which do not predict whether the next row fails. */
interface Recent {
  readonly at: number;
  readonly count: number;
  readonly error: unknown;
}

/** The time for which timed-out handlers and rejected completions are reported. */
const RECENT_MS = 300_000;

/** The number of consecutive failures that is normal: a claim may lose its connection once. */
const TOLERATED = { lost: 2, refused: 1, unanswered: 0 } as const;

/**
 * Collects problems of claims from the events of an instance, which owns it, for `pubsub.status()`.
 */
export class ClaimHealth {
  private readonly failing = new Map<string, Failing>();
  private readonly timeouts = new Map<string, Recent>();
  private readonly refusals = new Map<string, Recent>();

  constructor(private readonly now: () => number = () => performance.now()) {}

  record(event: PubSubEvent): void {
    if (event.type === 'claimed' || event.type === 'claim-recovered') this.failing.delete(event.channel);
    else if (event.type === 'handled') this.timeouts.delete(keyOf(event));
    else if (event.type === 'claim-failed') this.fail(event.channel, event.error);
    else if (event.type === 'stored-failed' && isCode(event.error, 'HANDLER_TIMEOUT'))
      this.add(this.timeouts, keyOf(event), event.error);
    if ('error' in event && 'channel' in event && isCode(event.error, 'COMPLETION_REFUSED'))
      this.add(this.refusals, event.channel, event.error);
  }

  /** The problems, a sentence each. */
  get reasons(): string[] {
    return [
      ...[...this.failing].flatMap(([channel, failing]) => this.reasonOf(channel, failing)),
      ...this.recent(this.refusals).map(
        ([channel, { error }]) => `completions on "${channel}" are rejected: ${messageOf(error)}`,
      ),
      ...this.recent(this.timeouts).map(
        ([listener, { count, error }]) =>
          `${listener} timed out ${counted(count, 'time')} and has handled nothing since then: ${messageOf(error)}`,
      ),
    ];
  }

  private fail(channel: string, error: unknown): void {
    const { since, count } = this.failing.get(channel) ?? { since: this.now(), count: 0 };
    this.failing.set(channel, { since, count: count + 1, error });
  }

  private add(recent: Map<string, Recent>, key: string, error: unknown): void {
    const count = (recent.get(key)?.count ?? 0) + 1;
    recent.set(key, { at: this.now(), count, error });
  }

  private recent(recent: Map<string, Recent>): [string, Recent][] {
    const oldest = this.now() - RECENT_MS;
    for (const [key, { at }] of recent) if (at < oldest) recent.delete(key);
    return [...recent];
  }

  private reasonOf(channel: string, { since, count, error }: Failing): string[] {
    const kind = isTimedOut(error) ? 'unanswered' : isRefused(error) ? 'refused' : 'lost';
    if (count <= TOLERATED[kind]) return [];
    const seconds = Math.round((this.now() - since) / 1_000);
    const what = { unanswered: 'have had no answer', refused: 'have been rejected', lost: 'have failed' }[
      kind
    ];
    return [`claims on "${channel}" ${what} for ${seconds} s: ${messageOf(error)}`];
  }
}

const keyOf = ({ channel, listener }: { readonly channel: string; readonly listener: string }): string =>
  `${listener} on "${channel}"`;

const isCode = (error: unknown, code: PgPubSubErrorCode): boolean =>
  isPgPubSubError(error) && error.code === code;

const isRefused = (error: unknown): boolean => isServerError(error) || isCode(error, 'COMPLETION_REFUSED');
