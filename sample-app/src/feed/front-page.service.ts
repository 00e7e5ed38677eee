import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { PubSubService, type ConnectionState } from 'nestjs-pgpubsub';
import { Observable, ReplaySubject, last, merge, share, takeUntil, tap, timer, type Subscriber } from 'rxjs';
import { DataSource } from 'typeorm';
import { Author } from '../authors/author.entity.js';
import { ListenerFailed, PostChanged } from '../channels.js';
import { PostCache } from '../posts/post-cache.service.js';
import { Post } from '../posts/post.entity.js';
import { Edition } from '../printing/edition.entity.js';
import { PrintingService } from '../printing/printing.service.js';
import { Handling } from '../processes/handling.entity.js';
import { ProcessesService } from '../processes/processes.service.js';
import { ReadsPerDay } from '../reads/reads-per-day.entity.js';
import { settings } from '../settings.js';
import type { FrontPage } from './front-page.js';
import { Wire } from './wire.js';

/** How many of each kind; an author takes less room than a post. */
const SHOWN = 6;
const AUTHORS_SHOWN = 14;
/** A thousand changes are not a thousand readings. */
const PAUSE_MS = 100;
/** What notifies nobody is looked at so often: who listens, and what waits. */
const LOOK_MS = 1_000;
/** For so long after the last page has gone it is still observed: a page that is loaded again finds its wire. */
const KEPT_MS = 10_000;

/**
 * What all pages of this process show: read once for all of them, whenever a notification says that there is something
 * new. Each state is whole. A page that was away, or a process that missed something, needs the next one and no more.
 */
@Injectable()
export class FrontPageService {
  private readonly logger = new Logger(FrontPageService.name);
  private readonly wire = new Wire();
  private connection: ConnectionState = 'closed';

  /** The state now, and whenever it has changed. Completes when the application closes. */
  readonly state$: Observable<FrontPage>;

  constructor(
    private readonly pubsub: PubSubService,
    private readonly dataSource: DataSource,
    private readonly processes: ProcessesService,
    private readonly printing: PrintingService,
    private readonly cache: PostCache,
  ) {
    this.state$ = new Observable<FrontPage>((subscriber) => this.observe(subscriber)).pipe(
      share({ connector: () => new ReplaySubject(1), resetOnRefCountZero: () => timer(KEPT_MS) }),
    );
  }

  private observe(subscriber: Subscriber<FrontPage>): () => void {
    const changes = this.pubsub
      .observe<object>('author_feed', Post, ReadsPerDay, PostChanged, Handling, Edition, ListenerFailed)
      .pipe(tap((notification) => this.wire.hear(notification)));
    const gaps = this.pubsub.gaps$.pipe(tap((gap) => this.wire.miss(gap)));
    const states = this.pubsub.connection$.pipe(tap((state) => (this.connection = state)));
    const closed = this.pubsub.connection$.pipe(last(null, null));
    const reading = new Reading(() => this.read(), subscriber, this.logger);
    const subscription = merge(changes, gaps, states, timer(0, LOOK_MS))
      .pipe(takeUntil(closed))
      .subscribe({ next: () => void reading.refresh(), complete: () => subscriber.complete() });
    return () => subscription.unsubscribe();
  }

  private async read(): Promise<FrontPage> {
    const { manager } = this.dataSource;
    const order = { id: 'DESC' } as const;
    const [authors, posts, readsInAll, reads, editions, waiting, processes] = await Promise.all([
      manager.findAndCount(Author, { order, take: AUTHORS_SHOWN }),
      manager.findAndCount(Post, { order, take: SHOWN }),
      manager.sum(ReadsPerDay, 'reads'),
      manager.find(ReadsPerDay, { order: { date: 'DESC' }, take: SHOWN }),
      this.printing.latest(SHOWN),
      this.pubsub.stored.count(),
      this.processes.all(),
    ]);
    return {
      process: settings.processName,
      connection: this.connection,
      authors: { latest: authors[0], count: authors[1] },
      posts: { latest: posts[0], count: posts[1], cached: this.cache.size },
      reads: { latest: reads, count: readsInAll ?? 0 },
      editions,
      waiting,
      processes,
      wire: this.wire.newest,
    };
  }
}

/** One reading at a time; whoever asks while one goes on is answered by the one after it. */
class Reading {
  private isStale = false;
  private isGoingOn = false;
  private shown = '';

  constructor(
    private readonly read: () => Promise<FrontPage>,
    private readonly subscriber: Subscriber<FrontPage>,
    private readonly logger: Logger,
  ) {}

  async refresh(): Promise<void> {
    this.isStale = true;
    if (this.isGoingOn) return;
    this.isGoingOn = true;
    while (this.isStale && !this.subscriber.closed) {
      this.isStale = false;
      await this.show().catch((error: unknown) => this.logger.warn(error)); // looked at again in a second
      await delay(PAUSE_MS);
    }
    this.isGoingOn = false;
  }

  private async show(): Promise<void> {
    const state = await this.read();
    const text = JSON.stringify(state);
    if (text === this.shown) return;
    this.shown = text;
    this.subscriber.next(state);
  }
}
