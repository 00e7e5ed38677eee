import { Injectable } from '@nestjs/common';
import { Listener, PubSubService, type Notification, type PayloadOf } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { Printing } from '../channels.js';
import { Edition } from './edition.entity.js';

type Print = PayloadOf<typeof Printing>;

/** An edition and, if it is not printed, what keeps it. */
export interface EditionState {
  readonly id: number;
  readonly printedAt: Date | null;
  readonly attempts: number;
  /** The message of the last failure. */
  readonly error: string | null;
  readonly isDead: boolean;
}

type Trouble = Pick<EditionState, 'attempts' | 'error' | 'isDead'>;

/** Prints editions. A press that is jammed shows what becomes of a listener that fails. */
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

  /** Clears the press and puts the dead letter back to work; `null` when there is none. */
  async repair(editionId: number): Promise<{ retried: number } | null> {
    for await (const { id, payload } of this.pubsub.stored.deadLetters({ channel: Printing })) {
      if ((payload as Print).editionId !== editionId) continue;
      await this.dataSource.manager.update(Edition, { id: editionId }, { isJammed: false });
      return { retried: await this.pubsub.stored.retry({ channel: Printing, id }) };
    }
    return null;
  }

  /** The newest first. */
  async latest(count: number): Promise<EditionState[]> {
    const [editions, troubles] = await Promise.all([
      this.dataSource.manager.find(Edition, { order: { id: 'DESC' }, take: count }),
      this.troubles(),
    ]);
    const none: Trouble = { attempts: 0, error: null, isDead: false };
    return editions.map(({ id, printedAt }) => ({ id, printedAt, ...(troubles.get(id) ?? none) }));
  }

  private async troubles(): Promise<Map<number, Trouble>> {
    const troubles = new Map<number, Trouble>();
    const { stored } = this.pubsub;
    for await (const { payload, attempts, lastError } of stored.pending({ channel: Printing }))
      troubles.set((payload as Print).editionId, { attempts, error: messageIn(lastError), isDead: false });
    for await (const { payload, attempts, lastError } of stored.deadLetters({ channel: Printing }))
      troubles.set((payload as Print).editionId, { attempts, error: messageIn(lastError), isDead: true });
    return troubles;
  }
}

/** What is stored of a failure is its stack. */
const messageIn = (stack: string | null): string | null =>
  stack?.split('\n')[0]?.replace(/^Error: /, '') ?? null;
