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

/** The code of docs/stored-notifications.md. */

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

interface Purchased {
  readonly purchaseId: number;
}

export const PurchaseMade = defineChannel<Purchased>('purchase_made', {
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

interface Hit {
  readonly path: string;
}

export const PageViews = defineChannel<Hit>('page_views', {
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
      const payload = { purchaseId: purchase.id };
      await this.pubsub.notify(PurchaseMade, payload, { manager });
      return purchase;
    });
  }

  async move(account: string, amount: number): Promise<void> {
    const move = { account, amount };
    await this.pubsub.notify(AccountMoves, move, { key: account });
  }

  async remind(purchaseId: number): Promise<void> {
    const delayMs = 24 * 3_600_000;
    await this.pubsub.notify(PurchaseMade, { purchaseId }, { delayMs });
  }
}

/** Sends mail. Like providers of mail and payments, it ignores a repeated key. */
export abstract class Mailer {
  abstract send(mail: { text: string; idempotencyKey: string }, signal: AbortSignal): Promise<void>;
}

@Injectable()
export class ShopListeners {
  constructor(private readonly mailer: Mailer) {}

  @Listener(PurchaseMade)
  async reserve({ purchaseId }: Purchased, { manager }: Notification) {
    await manager.insert(Reservation, { purchaseId });
  }

  @Listener(PurchaseMade, { name: 'confirmation', retry: { maxAttempts: 20 } })
  async confirm({ purchaseId }: Purchased, { id, signal }: Notification) {
    const text = `Thank you for purchase ${purchaseId}`;
    const mail = { text, idempotencyKey: `confirmation/${id}` };
    const timeout = AbortSignal.timeout(10_000);
    await this.mailer.send(mail, AbortSignal.any([signal, timeout]));
  }

  @Listener(AccountMoves)
  async book({ account, amount }: AccountMove, { manager }: Notification) {
    const row = { name: account };
    const result = await manager.increment(Account, row, 'balance', amount);
    if (result.affected === 0) {
      throw new NonRetryableError(`no account "${account}"`);
    }
  }

  @Listener(PageViews, { batch: true })
  async record(views: Hit[], { manager }: NotificationBatch) {
    await manager.insert(PageView, views); // one statement for all of them
  }
}
