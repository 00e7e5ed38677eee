import type { ConnectionState } from 'nestjs-pgpubsub';
import type { Author } from '../authors/author.entity.js';
import type { Post } from '../posts/post.entity.js';
import type { EditionState } from '../printing/printing.service.js';
import type { NewsroomProcess } from '../processes/processes.service.js';
import type { ReadsPerDay } from '../reads/reads-per-day.entity.js';
import type { WireLine } from './wire.js';

/** All that the page shows, as it is now. Lists begin with the newest. */
export interface FrontPage {
  /** The process that answers. */
  readonly process: string;
  readonly connection: ConnectionState;
  readonly authors: { readonly count: number; readonly latest: readonly Author[] };
  readonly posts: { readonly count: number; readonly latest: readonly Post[]; readonly cached: number };
  /** `count`: of all days. */
  readonly reads: { readonly count: number; readonly latest: readonly ReadsPerDay[] };
  readonly editions: readonly EditionState[];
  /** How many stored notifications are to be handled. */
  readonly waiting: number;
  readonly processes: readonly NewsroomProcess[];
  readonly wire: readonly WireLine[];
}

/** As it arrives in a browser. */
export type AsJson<T> = T extends Date
  ? string
  : T extends object
    ? { readonly [K in keyof T]: AsJson<T[K]> }
    : T;
