import { drain, pending } from 'nestjs-pgpubsub/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { useDatabase } from '../../support/use-database.js';
import {
  Account,
  AccountMoves,
  Mailer,
  PageView,
  Purchase,
  PurchaseMade,
  Reservation,
  Shop,
  ShopListeners,
} from './stored-notifications.app.js';

class TestMailer extends Mailer {
  readonly sent: string[] = [];
  failures = 0;

  async send({ text }: { text: string }): Promise<void> {
    if (this.failures-- > 0) throw new Error('no mail today');
    this.sent.push(text);
  }
}

describe('the shop of docs/testing.md', () => {
  const database = useDatabase({ per: 'test' });
  let app: TestApp;
  beforeEach(async () => {
    app = await database.start({
      providers: [
        Shop,
        ShopListeners,
        { provide: Mailer, useClass: TestMailer },
      ],
      dataSource: {
        entities: [Purchase, Reservation, Account, PageView],
        synchronize: true,
      },
      // a retry that is due immediately would run in the drain in which it failed
      options: {
        synchronize: true,
        retry: { minDelayMs: 3_600_000, maxDelayMs: 3_600_000 },
      },
    });
  });

  it('reserves a purchase and confirms it', async () => {
    const { pubsub, dataSource } = app;
    const shop = app.app.get(Shop);
    const mailer = app.app.get<TestMailer>(Mailer);

    await pubsub.pause(); // only drain() handles from here on
    const { id } = await shop.buy('Ada');
    await expect(pending(pubsub, PurchaseMade)).resolves.toMatchObject([
      { payload: { purchaseId: id } },
    ]);

    await expect(drain(pubsub)).resolves.toEqual({ handled: 1, failed: 0 });
    await expect(
      dataSource.manager.findBy(Reservation, { purchaseId: id }),
    ).resolves.toHaveLength(1);
    expect(mailer.sent).toEqual([`Thank you for purchase ${id}`]);
  });

  it('sends a failed mail at the next attempt', async () => {
    const { pubsub } = app;
    const shop = app.app.get(Shop);
    const mailer = app.app.get<TestMailer>(Mailer);
    await pubsub.pause();

    mailer.failures = 1;
    await shop.buy('Ada');
    await expect(drain(pubsub)).resolves.toEqual({ handled: 0, failed: 1 });
    await expect(drain(pubsub, { withScheduled: true })).resolves.toEqual({
      handled: 1,
      failed: 0,
    });
    expect(mailer.sent).toHaveLength(1);
  });

  it('sends a reminder a day later', async () => {
    const { pubsub } = app;
    const shop = app.app.get(Shop);
    await pubsub.pause();

    await shop.remind(1);
    await expect(drain(pubsub)).resolves.toEqual({ handled: 0, failed: 0 });
    await expect(pending(pubsub)).resolves.toHaveLength(1);
    await expect(drain(pubsub, { withScheduled: true })).resolves.toEqual({
      handled: 1,
      failed: 0,
    });
  });

  it('moves a notification about a missing account to the dead letters', async () => {
    const { pubsub } = app;
    await pubsub.pause();
    await app.app.get(Shop).move('Ada', 5);

    await expect(drain(pubsub, { channels: [AccountMoves] })).resolves.toEqual({
      handled: 0,
      failed: 1,
    });
    for await (const { lastError } of pubsub.stored.deadLetters())
      expect(lastError).toContain('no account');
    await expect(pending(pubsub)).resolves.toEqual([]);
  });
});
