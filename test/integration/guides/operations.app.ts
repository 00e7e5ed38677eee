import {
  PgPubSubModule,
  createNotificationStorage,
  createNotifyTrigger,
  defineChannel,
  dropNotificationStorage,
  dropNotifyTrigger,
} from 'nestjs-pgpubsub';
import type { MigrationInterface, QueryRunner } from 'typeorm';

// The code of docs/operations.md, which operations.spec.ts runs.

export const PriceChanged = defineChannel<{ id: number }>('price_changed');
export const OrderPlaced = defineChannel<{ id: number }>('order_placed', { delivery: 'exactly-once' });

/** Listens to changes that clear caches; other processes handle stored notifications. */
export const forWeb = () => PgPubSubModule.forRoot({ listen: [PriceChanged] });

export const behindPooler = (directUrl: string) =>
  PgPubSubModule.forRoot({
    connection: directUrl,
  });

export const thatMaySleep = () =>
  PgPubSubModule.forRoot({
    heartbeat: false,
    poll: { intervalMs: 3_600_000 },
  });

export class MovePrices1800000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // until the transaction of the migration ends
    await runner.query(`set local pgpubsub.disabled = 'on'`);
    await runner.query('update author set royalty = royalty / 100');
    await runner.query(`set local pgpubsub.disabled = 'off'`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`set local pgpubsub.disabled = 'on'`);
    await runner.query('update author set royalty = royalty * 100');
    await runner.query(`set local pgpubsub.disabled = 'off'`);
  }
}

export class RemovePubSub1900000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await dropNotifyTrigger(runner, { table: 'author' });
    await dropNotificationStorage(runner); // with all pending rows
  }

  async down(runner: QueryRunner): Promise<void> {
    await createNotificationStorage(runner);
    await createNotifyTrigger(runner, { table: 'author', delivery: 'exactly-once' });
  }
}
