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
import { NotificationLog } from './notification-log.js';

/** The number of rows of each kind that the page shows. */
const SHOWN = 6;
const AUTHORS_SHOWN = 14;
/** The shortest time between two reads of the state. */
const PAUSE_MS = 100;
/**
 * The time between two reads without a notification: processes and pending notifications change
 * without one.
 */
const POLL_MS = 1_000;
/**
 * The time to keep observing after the last page was closed, so that a reloaded page shows the log
 * without a gap.
 */
const LINGER_MS = 10_000;

/**
 * The state that all pages of this process show. Read once for all of them, after each
 * notification. Each state is complete: a page that was disconnected, or a process that missed
 * notifications, is up to date with the next one.
 */
@Injectable()
export class FrontPageService {
  private readonly logger = new Logger(FrontPageService.name);
  private readonly log = new NotificationLog();
  private connection: ConnectionState = 'closed';

  /**
   * Emits the current state, and a new one whenever it changes. Completes when the application
   * closes.
   */
  readonly state$: Observable<FrontPage>;

  constructor(
    private readonly pubsub: PubSubService,
    private readonly dataSource: DataSource,
    private readonly processes: ProcessesService,
    private readonly printing: PrintingService,
    private readonly cache: PostCache,
  ) {
    this.state$ = new Observable<FrontPage>((subscriber) => this.observe(subscriber)).pipe(
      share({ connector: () => new ReplaySubject(1), resetOnRefCountZero: () => timer(LINGER_MS) }),
    );
  }

  private observe(subscriber: Subscriber<FrontPage>): () => void {
    const changes = this.pubsub
      .observe<object>('author_feed', Post, ReadsPerDay, PostChanged, Handling, Edition, ListenerFailed)
      .pipe(tap((notification) => this.log.addNotification(notification)));
    const gaps = this.pubsub.gaps$.pipe(tap((gap) => this.log.addGap(gap)));
    const states = this.pubsub.connection$.pipe(tap((state) => (this.connection = state)));
    const closed = this.pubsub.connection$.pipe(last(null, null));
    const reader = new StateReader(() => this.read(), subscriber, this.logger);
    const subscription = merge(changes, gaps, states, timer(0, POLL_MS))
      .pipe(takeUntil(closed))
      .subscribe({ next: () => void reader.refresh(), complete: () => subscriber.complete() });
    return () => subscription.unsubscribe();
  }

  private async read(): Promise<FrontPage> {
    const { manager } = this.dataSource;
    const order = { id: 'DESC' } as const;
    const [authors, posts, readsInAll, reads, editions, pending, processes] = await Promise.all([
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
      pending,
      processes,
      log: this.log.newest,
    };
  }
}

/** Reads one state at a time. Any number of requests during a read lead to one more read. */
class StateReader {
  private isStale = false;
  private isReading = false;
  private shown = '';

  constructor(
    private readonly read: () => Promise<FrontPage>,
    private readonly subscriber: Subscriber<FrontPage>,
    private readonly logger: Logger,
  ) {}

  async refresh(): Promise<void> {
    this.isStale = true;
    if (this.isReading) return;
    this.isReading = true;
    while (this.isStale && !this.subscriber.closed) {
      this.isStale = false;
      await this.show().catch((error: unknown) => this.logger.warn(error)); // the next poll reads again
      await delay(PAUSE_MS);
    }
    this.isReading = false;
  }

  private async show(): Promise<void> {
    const state = await this.read();
    const text = JSON.stringify(state);
    if (text === this.shown) return;
    this.shown = text;
    this.subscriber.next(state);
  }
}
