import { Subject, type Observable } from 'rxjs';
import type { Gap, ReportEvent } from '../common/events.js';
import type { ListenClient } from './listen-client.js';
import { ACTIVE_TIMEOUT_MS, type ListenSet } from './listen-set.js';
import { datesOf, msSince, now, type Timestamp } from './timestamp.js';

/**
 * Reports periods in which broadcasts may have been missed. Gaps before the start of the
 * application are reported after it, when methods with `@OnGap()` are attached. Owned by
 * `ListenConnection`; completes with the application.
 */
export class GapEmitter {
  /** The start of a period that no gap covers yet. */
  missedSince: Timestamp | undefined;
  private readonly subject = new Subject<Gap>();
  readonly gaps$: Observable<Gap> = this.subject.asObservable();
  /** Gaps that wait for the start; `undefined` after it. */
  private delayed: Gap[] | undefined = [];

  constructor(
    private readonly listens: ListenSet,
    private readonly report: ReportEvent,
  ) {}

  emitForActiveChannels(from: Timestamp): void {
    this.emitGap(this.listens.activeChannels, from);
  }

  /** Reports a gap of the active channels, and later one of the others from the same time on. */
  emitForReopened(client: ListenClient, from: Timestamp): void {
    this.missedSince = undefined;
    this.emitForActiveChannels(from);
    const missing = this.listens.missingChannels;
    if (missing.length > 0) void this.emitWhenActive(client, missing, from);
  }

  /**
   * Reports a gap if the first session came late: after a failed attempt, or after the callers of
   * `whenListening()` had stopped waiting for it.
   */
  emitForFirst(client: ListenClient, wantedSince?: Timestamp): void {
    const isLate = wantedSince !== undefined && msSince(wantedSince) > ACTIVE_TIMEOUT_MS;
    const from = this.missedSince ?? (isLate ? wantedSince : undefined);
    if (from !== undefined) this.emitForReopened(client, from);
  }

  /** Reports the delayed gaps: the application has started. */
  release(): void {
    const delayed = this.delayed ?? [];
    this.delayed = undefined;
    for (const gap of delayed) this.publish(gap);
  }

  complete(): void {
    this.subject.complete();
  }

  private async emitWhenActive(
    client: ListenClient,
    missing: readonly string[],
    from: Timestamp,
  ): Promise<void> {
    this.missedSince = from;
    if (!(await this.listens.whenInForce(client, missing))) return; // the gap of the next session starts at the same time
    this.missedSince = undefined;
    const active = new Set(this.listens.activeChannels);
    this.emitGap(
      missing.filter((channel) => active.has(channel)),
      from,
    );
  }

  private emitGap(channels: readonly string[], from: Timestamp): void {
    const gap = { channels, ...datesOf(from, now()) };
    if (this.delayed === undefined) this.publish(gap);
    else this.delayed.push(gap);
  }

  private publish(gap: Gap): void {
    this.report({ type: 'gap', gap });
    this.subject.next(gap);
  }
}
