import { describe, expect, it } from 'vitest';
import { TestApp, type TestAppOptions } from '../../support/app.js';
import { useDatabase } from '../../support/use-database.js';
import {
  Account,
  AccountMoves,
  Mailer,
  PageView,
  PageViews,
  Purchase,
  PurchaseMade,
  Reservation,
  Shop,
  ShopListeners,
} from './stored-notifications.app.js';

const database = useDatabase({ per: 'test' });

const ENTITIES = [Purchase, Reservation, Account, PageView];

const start = (options: TestAppOptions): Promise<TestApp> =>
  database.start({
    ...options,
    dataSource: { entities: ENTITIES, synchronize: true, ...options.dataSource },
    options: { synchronize: true, retry: { minDelayMs: 50, maxDelayMs: 50 }, ...options.options },
  });

describe('the shop of docs/stored-notifications.md', () => {
  class TestMailer extends Mailer {
    readonly keys: string[] = [];
    failures = 0;

    async send({ idempotencyKey }: { idempotencyKey: string }): Promise<void> {
      this.keys.push(idempotencyKey);
      if (this.failures-- > 0) throw new Error('no mail today');
    }
  }

  const startShop = () =>
    start({ providers: [Shop, ShopListeners, { provide: Mailer, useClass: TestMailer }] });

  it('reserves once, and repeats only the mail, with the same key', async () => {
    await using app = await startShop();
    const mailer = app.app.get<TestMailer>(Mailer);
    mailer.failures = 2;

    const { id } = await app.app.get(Shop).buy('Ada');
    await expectEmpty(app);

    await expect(database.query('select * from reservation')).resolves.toEqual([{ purchaseId: id }]);
    expect(mailer.keys).toEqual(Array.from({ length: 3 }, () => 'confirmation/1'));
  });

  it('stores nothing when the transaction rolls back', async () => {
    await using app = await startShop();
    await app.pubsub.pause();
    await app.dataSource
      .transaction(async (manager) => {
        await app.pubsub.notify(PurchaseMade, { purchaseId: 1 }, { manager });
        throw new Error('no');
      })
      .catch(() => undefined);
    await expect(app.pubsub.stored.count()).resolves.toBe(0);
  });

  it('moves a notification that cannot succeed to the dead letters immediately, and handles it after a retry', async () => {
    await using app = await startShop();
    await app.app.get(Shop).move('Ada', 5);
    await app.pubsub.recover();

    const letters = await listed(app.pubsub.stored.deadLetters({ channel: AccountMoves }));
    expect(letters).toMatchObject([
      {
        listener: 'ShopListeners.book',
        key: 'Ada',
        lastError: expect.stringContaining('no account') as unknown,
      },
    ]);

    await database.query(`insert into account (name) values ('Ada')`);
    await expect(app.pubsub.stored.retry({ channel: AccountMoves })).resolves.toBe(1);
    await expectEmpty(app);
    await expect(database.query('select balance from account')).resolves.toEqual([{ balance: 5 }]);
  });

  it('lists, retries and discards dead letters, and counts and deletes waiting notifications', async () => {
    await using app = await startShop();
    const { pubsub } = app;
    await pubsub.notify(AccountMoves, { account: 'Ada', amount: 5 });
    await pubsub.recover();
    await database.query(`insert into account (name) values ('Ada')`);
    await database.query(
      `insert into pgpubsub_dead_letter (id, channel, listener, created_at) values (42, 'mails', 'x', now())`,
    );
    await database.query(
      `insert into pgpubsub_notification (channel, payload, created_at) values ('abandoned', '1', now() - interval '2 hours')`,
    );
    const oneHourAgo = new Date(Date.now() - 3_600_000);
    const lines: string[] = [];

    const { stored } = pubsub;
    for await (const letter of stored.deadLetters({ channel: AccountMoves })) {
      lines.push(`${letter.listener}: ${letter.lastError}`);
    }
    const retried = await stored.retry({ channel: AccountMoves });
    const discarded = await stored.discard({ id: '42' });
    const late = await stored.count({ before: oneHourAgo });
    const deleted = await stored.purge({ channel: 'abandoned' });

    expect(lines).toEqual([expect.stringMatching(/^ShopListeners\.book: .*no account "Ada"/)]);
    expect({ retried, discarded, late, deleted }).toEqual({ retried: 1, discarded: 1, late: 1, deleted: 1 });
    await expectEmpty(app);
    await expect(database.query('select balance from account')).resolves.toEqual([{ balance: 5 }]);
    await expect(database.query('select from pgpubsub_dead_letter')).resolves.toEqual([]);
  });

  it('does not handle a reminder before its time', async () => {
    await using app = await startShop();
    await app.app.get(Shop).remind(1);
    await expect(app.pubsub.recover()).resolves.toEqual({ handled: 0, failed: 0 });
    await expect(app.pubsub.stored.count()).resolves.toBe(1);
  });

  it('handles notifications that SQL stores, and polls for those without a hint', async () => {
    await using app = await startShop();
    await app.pubsub.notifyMany(PageViews, [{ path: '/' }, { path: '/about' }]);
    await database.query(`select pgpubsub_notify('page_views', '{"path":"/sql"}')`);
    await expectEmpty(app);
    await expect(database.query('select path from page_view order by id')).resolves.toHaveLength(3);
    await database.query(
      `select pgpubsub_notify('account_moves', '{"account":"Ada","amount":5}', key => 'Ada', available_at => now() + interval '1 day')`,
    );
    await expect(listed(app.pubsub.stored.pending())).resolves.toMatchObject([
      { key: 'Ada', payload: { amount: 5 } },
    ]);
  });
});

async function expectEmpty({ pubsub }: TestApp): Promise<void> {
  const rest = () => pubsub.recover().then(() => pubsub.stored.count());
  await expect.poll(rest, { timeout: 10_000, interval: 20 }).toBe(0);
}

async function listed<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
