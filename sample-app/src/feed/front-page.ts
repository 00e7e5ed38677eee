import type { ConnectionState } from 'nestjs-pgpubsub';
import type { Author } from '../authors/author.entity.js';
import type { Post } from '../posts/post.entity.js';
import type { EditionState } from '../printing/printing.service.js';
import type { NewsroomProcess } from '../processes/processes.service.js';
import type { ReadsPerDay } from '../reads/reads-per-day.entity.js';
import type { LogEntry } from './notification-log.js';

/** The state of the page. Lists begin with the newest. */
export interface FrontPage {
  /** The name of the process that serves the page. */
  readonly process: string;
  readonly connection: ConnectionState;
  readonly authors: { readonly count: number; readonly latest: readonly Author[] };
  readonly posts: { readonly count: number; readonly latest: readonly Post[]; readonly cached: number };
  /** `count` is the sum of all days. */
  readonly reads: { readonly count: number; readonly latest: readonly ReadsPerDay[] };
  readonly editions: readonly EditionState[];
  /** The number of stored notifications that are not handled yet. */
  readonly pending: number;
  readonly processes: readonly NewsroomProcess[];
  readonly log: readonly LogEntry[];
}

/** The type of a value after JSON. */
export type AsJson<T> = T extends Date
  ? string
  : T extends object
    ? { readonly [K in keyof T]: AsJson<T[K]> }
    : T;
