import { BehaviorSubject, distinctUntilChanged, type Observable } from 'rxjs';
import type { ConnectionState } from '../common/events.js';
import { dateOf, msSince, now } from './timestamp.js';

export interface ConnectionSnapshot {
  readonly state: ConnectionState;
  /** When the connection got into this state. */
  readonly since: Date;
  /** The time since then in milliseconds, independent of the system clock. */
  readonly forMs: number;
  /** The wanted channels. A connection without any is closed, which is healthy. */
  readonly channels: readonly string[];
  /** When the server last sent anything; `null`: never. */
  readonly lastHeardAt: Date | null;
  /** When a test notification last came back; `null`: never. */
  readonly lastTestedAt: Date | null;
  /** The reason why the connection is deaf or not open; `null` when it works. */
  readonly reason: string | null;
}

/**
 * The state of the LISTEN connection, with the time and the reason of its last change. Owned by
 * `ListenConnection`; completes with the application.
 */
export class ConnectionStates {
  private readonly states = new BehaviorSubject<ConnectionState>('closed');
  /** Emits the current state, and every change. */
  readonly state$: Observable<ConnectionState> = this.states.pipe(distinctUntilChanged());
  private since = now();
  private lastTestedAt: Date | null = null;
  private reason: string | null = null;

  get current(): ConnectionState {
    return this.states.value;
  }

  /** Sets the state; `reason` explains a problem. */
  enter(state: ConnectionState, reason: string | null = null): void {
    if (state !== this.current) this.since = now();
    if (state === 'listening') this.lastTestedAt = new Date();
    this.reason = reason;
    this.states.next(state);
  }

  setReason(reason: string): void {
    this.reason = reason;
  }

  complete(): void {
    this.enter('closed');
    this.states.complete();
  }

  snapshot(channels: readonly string[], lastHeardAt: Date | null): ConnectionSnapshot {
    const { current: state, lastTestedAt, reason } = this;
    const [since, forMs] = [dateOf(this.since), msSince(this.since)];
    return { state, since, forMs, channels, lastHeardAt, lastTestedAt, reason };
  }
}
