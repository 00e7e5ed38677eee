import { setTimeout as delay } from 'node:timers/promises';
import type { ReportEvent } from '../common/events.js';
import type { ConnectionStates } from './connection-states.js';
import type { GapEmitter } from './gap-emitter.js';
import type { ListenClient } from './listen-client.js';
import type { ListenSet } from './listen-set.js';
import { now, type Timestamp } from './timestamp.js';
import type { SelfTest } from './self-test.js';

export interface SelfTestMonitorOptions {
  readonly selfTest: SelfTest;
  readonly states: ConnectionStates;
  readonly listens: ListenSet;
  readonly gaps: GapEmitter;
  readonly isCurrent: (client: ListenClient) => boolean;
  /** The pause between two tests of a deaf session. */
  readonly intervalMs: number;
  readonly stopped: AbortSignal;
  readonly report: ReportEvent;
}

/**
 * Sets the state by the self-test of a session. A deaf session is tested again until the test
 * succeeds or the session ends. Owned by `ListenConnection`.
 */
export class SelfTestMonitor {
  /** The time since which every self-test has failed; heartbeats continue meanwhile. */
  deafSince: Timestamp | undefined;

  constructor(private readonly options: SelfTestMonitorOptions) {}

  /** Resolves when the first test has ended. Never rejects. */
  async test(client: ListenClient): Promise<void> {
    const { selfTest, states, isCurrent, report } = this.options;
    const since = now();
    const fault = await selfTest.findFault(client);
    if (!isCurrent(client)) return;
    if (fault === undefined) return this.enterListening(client);
    this.deafSince ??= since;
    const isNew = states.current !== 'deaf';
    states.enter('deaf', fault);
    if (isNew) report({ type: 'deafened', reason: fault });
    void this.testAgain(client, since);
  }

  private async testAgain(client: ListenClient, since: Timestamp): Promise<void> {
    const { selfTest, states, gaps, isCurrent, intervalMs, stopped } = this.options;
    for (;;) {
      await delay(intervalMs, undefined, { signal: stopped }).catch(() => undefined);
      if (!isCurrent(client)) return;
      const fault = await selfTest.findFault(client);
      if (!isCurrent(client)) return;
      if (fault !== undefined) {
        states.setReason(fault);
        continue;
      }
      const from = this.deafSince ?? since;
      this.enterListening(client);
      gaps.emitForActiveChannels(from);
      return;
    }
  }

  private enterListening(client: ListenClient): void {
    const { states, listens, report } = this.options;
    this.deafSince = undefined;
    client.requireProof();
    states.enter('listening');
    report({ type: 'listening', channels: listens.activeChannels, processId: client.processId });
  }
}
