import type { PgPubSubOptions } from 'nestjs-pgpubsub';
import type { Crash, CrashPoint } from './crash.js';

/** The settings of a process, and the messages that it exchanges with its parent over IPC. */

export interface Settings {
  /** The name that each effect of the process contains. */
  readonly name: string;
  /** The longest of the random pauses of handlers before they write. */
  readonly delayMs?: number;
  readonly crash?: Crash;
  readonly options?: PgPubSubOptions;
}

export type Command =
  | { readonly type: 'notify'; readonly channel: string; readonly count: number; readonly bytes?: number }
  | { readonly type: 'rollBack' | 'release' | 'close' };

export type Report =
  | { readonly type: 'ready' | 'sent' | 'closed' }
  | { readonly type: 'state'; readonly state: string }
  /** A handler waits for `release`. */
  | { readonly type: 'waiting'; readonly n: number }
  | { readonly type: 'crashing'; readonly point: CrashPoint }
  /** The number of handled ticks and the memory of the process in bytes. */
  | { readonly type: 'ticks'; readonly count: number; readonly rss: number };

/** Sends a report to the parent; calls `then` once it is sent. */
export const tell = (report: Report, then: () => void = () => undefined): void =>
  void process.send?.(report, then);
