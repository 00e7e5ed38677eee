import { Injectable } from '@nestjs/common';
import {
  Listener,
  NonRetryableError,
  PubSubService,
  defineChannel,
  type Notification,
  type NotificationBatch,
} from 'nestjs-pgpubsub';
import { Column, DataSource, Entity, PrimaryColumn, PrimaryGeneratedColumn } from 'typeorm';

/** What docs/stored-notifications.md shows. */

@Entity('purchase')
export class Purchase {
  @PrimaryGeneratedColumn('identity', { type: 'integer' })
  id!: number;

  @Column('text')
  customer!: string;
}

@Entity('reservation')
export class Reservation {
  @PrimaryColumn('integer')
  purchaseId!: number;
}

@Entity('account')
export class Account {
  @PrimaryColumn('text')
  name!: string;

  @Column('integer', { default: 0 })
  balance!: number;
}

@Entity('page_view')
export class PageView {
  @PrimaryGeneratedColumn('identity', { type: 'integer' })
  id!: number;

  @Column('text')
  path!: string;
}

export const PurchaseMade = defineChannel<{ purchaseId: number }>('purchase_made', {
  delivery: 'exactly-once',
});

interface AccountMove {
  readonly account: string;
  readonly amount: number;
}

export const AccountMoves = defineChannel<AccountMove>('account_moves', {
  delivery: 'exactly-once',
  ordered: true,
});

export const PageViews = defineChannel<{ path: string }>('page_views', {
  delivery: 'exactly-once',
  wake: 'poll',
  pollIntervalMs: 100,
});

@Injectable()
export class Shop {
  constructor(
    private readonly dataSource: DataSource,
    private readonly pubsub: PubSubService,
  ) {}

  buy(customer: string): Promise<Purchase> {
    return this.dataSource.transaction(async (manager) => {
      const purchase = await manager.save(Purchase, { customer });
      await this.pubsub.notify(PurchaseMade, { purchaseId: purchase.id }, { manager });
      return purchase;
    });
  }

  async move(account: string, amount: number): Promise<void> {
    await this.pubsub.notify(AccountMoves, { account, amount }, { key: account });
  }

  async remind(purchaseId: number): Promise<void> {
    await this.pubsub.notify(PurchaseMade, { purchaseId }, { delayMs: 24 * 3_600_000 });
  }
}

/** As providers of mail, payments and the like have it: a key they have seen has no effect any more. */
export abstract class Mailer {
  abstract send(mail: { text: string; idempotencyKey: string }, signal: AbortSignal): Promise<void>;
}

@Injectable()
export class ShopListeners {
  constructor(private readonly mailer: Mailer) {}

  @Listener(PurchaseMade)
  async reserve({ purchaseId }: { purchaseId: number }, { manager }: Notification): Promise<void> {
    await manager.insert(Reservation, { purchaseId });
  }

  @Listener(PurchaseMade, { name: 'confirmation', retry: { maxAttempts: 20 } })
  async confirm({ purchaseId }: { purchaseId: number }, { id, signal }: Notification): Promise<void> {
    const mail = { text: `Thank you for purchase ${purchaseId}`, idempotencyKey: `confirmation/${id}` };
    await this.mailer.send(mail, AbortSignal.any([signal, AbortSignal.timeout(10_000)]));
  }

  @Listener(AccountMoves)
  async book({ account, amount }: AccountMove, { manager }: Notification): Promise<void> {
    const { affected } = await manager.increment(Account, { name: account }, 'balance', amount);
    if (affected === 0) throw new NonRetryableError(`there is no account "${account}"`);
  }

  @Listener(PageViews, { batch: true })
  async record(views: { path: string }[], { manager }: NotificationBatch): Promise<void> {
    await manager.insert(PageView, views); // one statement for all of them
  }
}
