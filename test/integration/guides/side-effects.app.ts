import { Injectable } from '@nestjs/common';
import {
  Listener,
  NonRetryableError,
  PubSubService,
  defineChannel,
  type Notification,
} from 'nestjs-pgpubsub';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';

/** The code of docs/guides/side-effects.md. */

@Entity()
export class Invoice {
  @PrimaryColumn('int')
  id!: number;

  @Column('int')
  amount!: number;

  @Column('text', { nullable: true })
  chargeId!: string | null;
}

export const InvoiceDue = defineChannel<{ invoiceId: number }>('invoice_due', {
  delivery: 'exactly-once',
});
export const InvoicePaid = defineChannel<{ invoiceId: number }>(
  'invoice_paid',
  { delivery: 'exactly-once' },
);

/** The address of the payment service: `https://payments.example`. */
export abstract class Payments {
  abstract readonly url: string;
}

@Injectable()
export class Billing {
  constructor(
    private readonly pubsub: PubSubService,
    private readonly payments: Payments,
  ) {}

  @Listener(InvoiceDue, { name: 'charge', retry: { maxAttempts: 20 } })
  async charge(
    { invoiceId }: { invoiceId: number },
    { id, manager, signal }: Notification,
  ): Promise<void> {
    const { amount } = await manager.findOneByOrFail(Invoice, {
      id: invoiceId,
    });
    const response = await fetch(`${this.payments.url}/charges`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'idempotency-key': `shop/charge/${id}`,
      },
      body: JSON.stringify({ amount }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]),
    });
    if (response.status === 402)
      throw new NonRetryableError(`invoice ${invoiceId}: the card is refused`);
    if (!response.ok)
      throw new Error(`the payment service answered ${response.status}`);

    const { chargeId } = (await response.json()) as { chargeId: string };
    await manager.update(Invoice, invoiceId, { chargeId });
    await this.pubsub.notify(InvoicePaid, { invoiceId }, { manager });
  }
}

/** A table of the receiver. */
@Entity()
export class SeenKey {
  @PrimaryColumn('text')
  key!: string;
}

@Entity()
export class Charge {
  @PrimaryColumn('text')
  id!: string;

  @Column('int')
  amount!: number;
}

@Injectable()
export class Charges {
  constructor(private readonly dataSource: DataSource) {}

  make(key: string, amount: number): Promise<string> {
    const id = `charge-${key}`;
    return this.dataSource.transaction(async (manager) => {
      const { raw } = await manager
        .createQueryBuilder()
        .insert()
        .into(SeenKey)
        .values({ key })
        .orIgnore()
        .returning('key')
        .execute();
      // The insert waits for a concurrent one with the same key to commit.
      const isNew = (raw as unknown[]).length > 0;
      if (isNew) await manager.insert(Charge, { id, amount });
      return id;
    });
  }
}
