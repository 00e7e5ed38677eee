import { setTimeout as delay } from 'node:timers/promises';
import type { ReportEvent } from '../common/events.js';
import type { ConnectionStates } from './connection-states.js';
import type { GapReports } from './gap-reports.js';
import type { ListenSession } from './listen-session.js';
import type { ListenSet } from './listen-set.js';
import { now, type Moment } from './moment.js';
import type { SelfTest } from './self-test.js';

export interface HearingOptions {
  readonly selfTest: SelfTest;
  readonly states: ConnectionStates;
  readonly listens: ListenSet;
  readonly gaps: GapReports;
  readonly isCurrent: (session: ListenSession) => boolean;
  /** The pause between two tests of a deaf session. */
  readonly intervalMs: number;
  readonly stopped: AbortSignal;
  readonly report: ReportEvent;
}

/**
 * Finds out by the self-test whether a session hears, and sets the state by it. A deaf session is tested again until it hears
 * or ends. Owned by `ListenConnection`.
 */
export class Hearing {
  /** The moment since which no session has heard; heartbeats go on meanwhile. */
  deafSince: Moment | undefined;

  constructor(private readonly options: HearingOptions) {}

  /** Resolves when the first test has ended. Never rejects. */
  async test(session: ListenSession): Promise<void> {
    const { selfTest, states, isCurrent, report } = this.options;
    const since = now();
    const fault = await selfTest.findFault(session);
    if (!isCurrent(session)) return;
    if (fault === undefined) return this.enterListening(session);
    this.deafSince ??= since;
    const isNew = states.current !== 'deaf';
    states.enter('deaf', fault);
    if (isNew) report({ type: 'deafened', reason: fault });
    void this.testAgain(session, since);
  }

  private async testAgain(session: ListenSession, since: Moment): Promise<void> {
    const { selfTest, states, gaps, isCurrent, intervalMs, stopped } = this.options;
    for (;;) {
      await delay(intervalMs, undefined, { signal: stopped }).catch(() => undefined);
      if (!isCurrent(session)) return;
      const fault = await selfTest.findFault(session);
      if (!isCurrent(session)) return;
      if (fault !== undefined) {
        states.explain(fault);
        continue;
      }
      const from = this.deafSince ?? since;
      this.enterListening(session);
      gaps.tellActive(from);
      return;
    }
  }

  private enterListening(session: ListenSession): void {
    const { states, listens, report } = this.options;
    this.deafSince = undefined;
    session.requireProof();
    states.enter('listening');
    report({ type: 'listening', channels: listens.activeChannels, processId: session.processId });
  }
}
