import { Subject, type Observable } from 'rxjs';
import type { Gap, ReportEvent } from '../common/events.js';
import type { ListenSession } from './listen-session.js';
import { ACTIVE_TIMEOUT_MS, type ListenSet } from './listen-set.js';
import { datesOf, msSince, now, type Moment } from './moment.js';

/**
 * Reports the times in which broadcasts may have been missed. Those before the start of the application are reported when it
 * has started: methods with `@OnGap()` are not attached earlier. Owned by `ListenConnection`; completes with the application.
 */
export class GapReports {
  /** The moment since which something may have been missed that no gap covers yet. */
  missedSince: Moment | undefined;
  private readonly subject = new Subject<Gap>();
  readonly gaps$: Observable<Gap> = this.subject.asObservable();
  /** Gaps that wait for the start. */
  private held: Gap[] | undefined = [];

  constructor(
    private readonly listens: ListenSet,
    private readonly report: ReportEvent,
  ) {}

  /** Reports a gap of the channels that are in force. */
  tellActive(from: Moment): void {
    this.tell(this.listens.activeChannels, from);
  }

  /** Reports a gap of the channels that are in force, and later one of the others, which begins at the same time. */
  tellOpened(session: ListenSession, from: Moment): void {
    this.missedSince = undefined;
    this.tellActive(from);
    const missing = this.listens.missingChannels;
    if (missing.length > 0) void this.tellLater(session, missing, from);
  }

  /**
   * Reports that the first session came too late: after an attempt that failed, or later than callers of `whenListening()`
   * have waited for it.
   */
  tellFirst(session: ListenSession, wantedSince?: Moment): void {
    const isLate = wantedSince !== undefined && msSince(wantedSince) > ACTIVE_TIMEOUT_MS;
    const from = this.missedSince ?? (isLate ? wantedSince : undefined);
    if (from !== undefined) this.tellOpened(session, from);
  }

  /** The application has started. */
  release(): void {
    const held = this.held ?? [];
    this.held = undefined;
    for (const gap of held) this.pass(gap);
  }

  complete(): void {
    this.subject.complete();
  }

  private async tellLater(session: ListenSession, missing: readonly string[], from: Moment): Promise<void> {
    this.missedSince = from;
    if (!(await this.listens.whenInForce(session, missing))) return; // the gap of the next session begins then, too
    this.missedSince = undefined;
    const active = new Set(this.listens.activeChannels);
    this.tell(
      missing.filter((channel) => active.has(channel)),
      from,
    );
  }

  private tell(channels: readonly string[], from: Moment): void {
    const gap = { channels, ...datesOf(from, now()) };
    if (this.held === undefined) this.pass(gap);
    else this.held.push(gap);
  }

  private pass(gap: Gap): void {
    this.report({ type: 'gap', gap });
    this.subject.next(gap);
  }
}
