import { backoffDelayMs } from '../common/backoff.js';
import { messageOf } from '../common/errors.js';
import type { ReportEvent } from '../common/events.js';
import type { ReconnectOptions } from '../common/options.js';
import type { ConnectionStates } from './connection-states.js';
import type { ListenClient } from './listen-client.js';
import { RetryPause } from './retry-pause.js';

export interface ReconnectorOptions {
  readonly open: () => Promise<ListenClient>;
  readonly reconnect: ReconnectOptions;
  readonly states: ConnectionStates;
  readonly stopped: AbortSignal;
  readonly report: ReportEvent;
}

/** Retries to open a session, with growing pauses. Owned by `ListenConnection`. */
export class Reconnector {
  /** The number of attempts, reset by a session that outlasts a heartbeat interval. */
  attempts = 0;
  private readonly retryPause: RetryPause;

  constructor(private readonly options: ReconnectorOptions) {
    this.retryPause = new RetryPause(options.stopped);
  }

  shorten(): void {
    this.retryPause.shorten();
  }

  /** Resolves with the opened session; with `undefined` when the application closed meanwhile. */
  async open(lastError?: unknown): Promise<ListenClient | undefined> {
    const { open, stopped } = this.options;
    for (let error = lastError; !stopped.aborted;) {
      this.attempts++;
      if (error !== undefined) await this.pause(this.attempts, error);
      if (stopped.aborted) return undefined;
      try {
        return await open();
      } catch (failure) {
        error = failure;
      }
    }
    return undefined;
  }

  private async pause(attempt: number, error: unknown): Promise<void> {
    const { reconnect, states, report } = this.options;
    const delayMs = backoffDelayMs(attempt, reconnect);
    states.setReason(messageOf(error));
    if (attempt > 1) report({ type: 'reconnecting', attempt, delayMs, error });
    await this.retryPause.wait(delayMs);
  }
}
