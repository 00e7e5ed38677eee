import { Injectable } from '@nestjs/common';
import { Listener, PubSubService, type Notification, type PayloadOf } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { Printing } from '../channels.js';
import { Edition } from './edition.entity.js';

type Print = PayloadOf<typeof Printing>;

/** An edition and the failures of its printing. */
export interface EditionState {
  readonly id: number;
  readonly printedAt: Date | null;
  readonly attempts: number;
  /** The message of the last failure. */
  readonly error: string | null;
  readonly isDead: boolean;
}

type Failure = Pick<EditionState, 'attempts' | 'error' | 'isDead'>;

/** Prints editions. A jammed press makes the listener fail, to show retries and dead letters. */
@Injectable()
export class PrintingService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly pubsub: PubSubService,
  ) {}

  order(isJammed: boolean): Promise<Edition> {
    return this.dataSource.transaction(async (manager) => {
      const edition = await manager.save(Edition, { isJammed });
      await this.pubsub.notify(Printing, { editionId: edition.id }, { manager });
      return edition;
    });
  }

  @Listener(Printing)
  async print({ editionId }: Print, { manager }: Notification<Print>): Promise<void> {
    const edition = await manager.findOneBy(Edition, { id: editionId });
    if (edition?.isJammed) throw new Error('the press is jammed');
    await manager.update(Edition, { id: editionId }, { printedAt: new Date() });
  }

  /** Clears the jam and retries the dead letter of the edition. Returns `null` when it has none. */
  async repair(editionId: number): Promise<{ retried: number } | null> {
    for await (const { id, payload } of this.pubsub.stored.deadLetters({ channel: Printing })) {
      if ((payload as Print).editionId !== editionId) continue;
      await this.dataSource.manager.update(Edition, { id: editionId }, { isJammed: false });
      return { retried: await this.pubsub.stored.retry({ channel: Printing, id }) };
    }
    return null;
  }

  /** Returns the newest editions, newest first. */
  async latest(count: number): Promise<EditionState[]> {
    const [editions, failures] = await Promise.all([
      this.dataSource.manager.find(Edition, { order: { id: 'DESC' }, take: count }),
      this.failures(),
    ]);
    const none: Failure = { attempts: 0, error: null, isDead: false };
    return editions.map(({ id, printedAt }) => ({ id, printedAt, ...(failures.get(id) ?? none) }));
  }

  private async failures(): Promise<Map<number, Failure>> {
    const failures = new Map<number, Failure>();
    const { stored } = this.pubsub;
    for await (const { payload, attempts, lastError } of stored.pending({ channel: Printing }))
      failures.set((payload as Print).editionId, { attempts, error: messageIn(lastError), isDead: false });
    for await (const { payload, attempts, lastError } of stored.deadLetters({ channel: Printing }))
      failures.set((payload as Print).editionId, { attempts, error: messageIn(lastError), isDead: true });
    return failures;
  }
}

/** Returns the message of a stored stack. */
const messageIn = (stack: string | null): string | null =>
  stack?.split('\n')[0]?.replace(/^Error: /, '') ?? null;
