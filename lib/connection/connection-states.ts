import { BehaviorSubject, distinctUntilChanged, type Observable } from 'rxjs';
import type { ConnectionState } from '../common/events.js';
import { dateOf, msSince, now } from './timestamp.js';

/** What is known about the LISTEN connection of an instance. */
export interface ConnectionSnapshot {
  readonly state: ConnectionState;
  /** When it got into this state. */
  readonly since: Date;
  /** The milliseconds since then, which do not depend on the system clock. */
  readonly forMs: number;
  /** What has to be listened to; a connection that nobody needs is closed, and all is well. */
  readonly channels: readonly string[];
  /** When the server last said anything; `null`: never. */
  readonly lastHeardAt: Date | null;
  /** When a test notification last came back; `null`: never. */
  readonly lastTestedAt: Date | null;
  /** Why it is deaf, or not open; `null` when all is well. */
  readonly reason: string | null;
}

/**
 * The state of the LISTEN connection, with the time and the reason of its last change. Owned by `ListenConnection`;
 * completes with the application.
 */
export class ConnectionStates {
  private readonly states = new BehaviorSubject<ConnectionState>('closed');
  /** The state now, and every change of it. */
  readonly state$: Observable<ConnectionState> = this.states.pipe(distinctUntilChanged());
  private since = now();
  private lastTestedAt: Date | null = null;
  private reason: string | null = null;

  get current(): ConnectionState {
    return this.states.value;
  }

  /** Without a reason all is well, or has not gone wrong yet. */
  enter(state: ConnectionState, reason: string | null = null): void {
    if (state !== this.current) this.since = now();
    if (state === 'listening') this.lastTestedAt = new Date();
    this.reason = reason;
    this.states.next(state);
  }

  /** Another reason for the same state. */
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
