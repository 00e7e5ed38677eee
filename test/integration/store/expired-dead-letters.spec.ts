import { DataSource, type EntityManager } from 'typeorm';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { removeExpiredDeadLetters } from '../../../lib/store/expired-dead-letters.js';
import { storage, useDatabase } from '../../support/use-database.js';

const DAY_MS = 86_400_000;

const database = useDatabase({ contents: storage });
let dataSource: DataSource;

beforeAll(async () => {
  dataSource = await database.connect();
});
beforeEach(() => database.query('truncate pgpubsub_dead_letter'));

/** Adds dead letters of a channel with this age in days. */
const bury = (channel: string, days: number, count = 1) =>
  database.query(
    `insert into pgpubsub_dead_letter (id, listener, channel, died_at)
     select id, 'Orders.handle', $1, clock_timestamp() - $2 * interval '1 day' from generate_series(1, $3::int) as id`,
    [channel, days, count],
  );

const left = async (): Promise<Record<string, number>> => {
  const rows = await database.query<{ channel: string; count: number }>(
    'select channel, count(*)::int as count from pgpubsub_dead_letter group by channel order by channel',
  );
  return Object.fromEntries(rows.map(({ channel, count }) => [channel, count]));
};

const remove = (
  keepMsByChannel: Readonly<Record<string, number>>,
  manager: EntityManager = dataSource.manager,
) => removeExpiredDeadLetters(manager, 'public', new Map(Object.entries(keepMsByChannel)));

it('removeExpiredDeadLetters() deletes the dead letters of a channel that exceed its age, and no others', async () => {
  await bury('orders', 8, 3);
  await bury('orders', 6, 2);
  await bury('mails', 8);
  await bury('audit', 800);

  await expect(remove({ orders: 7 * DAY_MS, mails: 9 * DAY_MS })).resolves.toBe(3);
  expect(await left()).toEqual({ audit: 1, mails: 1, orders: 2 });

  await expect(remove({ orders: 7 * DAY_MS, mails: 0 })).resolves.toBe(1);
  expect(await left()).toEqual({ audit: 1, orders: 2 });
});

it('removeExpiredDeadLetters() sends no statement when all channels keep their dead letters', async () => {
  const refusing = { query: () => Promise.reject(new Error('asked')) };

  await expect(removeExpiredDeadLetters(refusing, 'public', new Map())).resolves.toBe(0);
});

it('removeExpiredDeadLetters() deletes at most 1,000 per statement, over all channels', async () => {
  await bury('orders', 8, 1_500);
  await bury('mails', 8, 700);
  const counts: unknown[] = [];
  const counting = {
    async query(sql: string, parameters?: unknown[]) {
      const [found] = await dataSource.query<{ count: string }[]>(sql, parameters);
      counts.push(found?.count);
      return [found];
    },
  };

  const keep = new Map([
    ['orders', DAY_MS],
    ['mails', DAY_MS],
  ]);
  await expect(removeExpiredDeadLetters(counting, 'public', keep)).resolves.toBe(2_200);
  expect(counts).toEqual(['1000', '1000', '200']);
  expect(await left()).toEqual({});
});

it('removeExpiredDeadLetters() skips rows that another transaction has locked', async () => {
  await bury('orders', 8, 2);

  await dataSource.transaction(async (other) => {
    await other.query('delete from pgpubsub_dead_letter where id = 1');
    await expect(remove({ orders: DAY_MS })).resolves.toBe(1);
  });
  expect(await left()).toEqual({});
});

it('removeExpiredDeadLetters() accepts the longest possible age', async () => {
  await bury('orders', 30_000);

  await expect(remove({ orders: 3_155_760_000_000 })).resolves.toBe(0);
  expect(await left()).toEqual({ orders: 1 });
});

it('removeExpiredDeadLetters() uses the index of channel and time', async () => {
  await bury('orders', 8);
  const plan = await dataSource.transaction(async (manager) => {
    await manager.query('set local enable_seqscan = off');
    const explaining = {
      query: async (sql: string, parameters?: unknown[]) => {
        const rows = await manager.query<Record<'QUERY PLAN', string>[]>(`explain ${sql}`, parameters);
        return [{ count: '0', plan: rows.map((row) => row['QUERY PLAN']).join('\n') }];
      },
    };
    let found = '';
    await removeExpiredDeadLetters(
      {
        query: (sql, parameters) =>
          explaining.query(sql, parameters).then((rows) => ((found = rows[0]?.plan ?? ''), rows)),
      },
      'public',
      new Map([['orders', DAY_MS]]),
    );
    return found;
  });

  expect(plan).toMatch(/pgpubsub_dead_letter_channel_time.*\n\s*Index Cond: .*channel.*died_at <= /);
});
