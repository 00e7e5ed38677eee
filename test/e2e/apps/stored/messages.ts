import type { PgPubSubOptions } from 'nestjs-pgpubsub';
import type { Death, Moment } from './death.js';

/** How the parent starts a process, and what they tell each other over IPC. */

export interface Settings {
  /** Stands in every effect. */
  readonly name: string;
  /** Handlers wait at random up to so long before they write. */
  readonly delayMs?: number;
  readonly death?: Death;
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
  | { readonly type: 'dying'; readonly moment: Moment }
  /** So many ticks were handled, and the process holds so much memory. */
  | { readonly type: 'ticks'; readonly count: number; readonly rss: number };

/** `then` is called once it has been told. */
export const tell = (report: Report, then: () => void = () => undefined): void =>
  void process.send?.(report, then);
