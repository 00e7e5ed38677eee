import { Injectable } from '@nestjs/common';
import {
  Listener,
  NotifyChanges,
  OnInsert,
  withPgPubSub,
  type EntityChange,
  type Notification,
} from 'nestjs-pgpubsub';
import {
  Column,
  DataSource,
  Entity,
  PrimaryGeneratedColumn,
  type EntityManager,
  type MigrationInterface,
} from 'typeorm';
import { describe, expect, it } from 'vitest';
import type { TestApp, TestAppOptions } from '../../support/app.js';
import { blocksOf, readText } from '../../support/documents.js';
import { collector } from '../../support/listeners.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { NOTHING, generate, run } from '../../support/storage.js';
import { useDatabase } from '../../support/use-database.js';
import * as guide from './operations.app.js';

const { OrderPlaced, PriceChanged } = guide;

const database = useDatabase({ per: 'test' });

@Entity('author')
@NotifyChanges({ delivery: 'exactly-once' })
class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column('float8', { default: 100 }) royalty!: number;
}

/** Opens a DataSource with the tables of stored notifications, and those of these entities. */
async function connect(...entities: (new () => object)[]): Promise<DataSource> {
  const source = new DataSource({ type: 'postgres', url: database.url, entities });
  await withPgPubSub(source, { channels: [OrderPlaced] }).initialize();
  await run(source, (await generate(source)).up);
  return source;
}

const start = (options: TestAppOptions): Promise<TestApp> =>
  database.start({
    ...options,
    dataSource: { synchronize: true, ...options.dataSource },
    patch: (source) => withPgPubSub(source, { channels: [OrderPlaced] }),
  });

describe('the SQL of docs/operations.md', () => {
  const statements = blocksOf(readText('docs/operations.md'), 'sql')
    .flatMap((block) => block.split(/;$/m))
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
  const having = (words: string): string => statements.find((statement) => statement.includes(words)) ?? '';

  it.each(statements)('is valid: %s', async (statement) => {
    await (await connect()).destroy();
    await expect(database.query(statement)).resolves.toBeDefined();
  });

  it('finds the listening processes', async () => {
    await using _app = await start({ providers: [collector(PriceChanged).provider] });
    const all = await database.query<{ application_name: string }>(having('who listens'));
    expect(all).toContainEqual(expect.objectContaining({ application_name: 'nest:listen' }));
  });

  it('finds the oldest transaction, dead rows, and sessions that wait to commit a notification', async () => {
    await (await connect()).destroy();
    const client = await database.client();
    await client.query('begin');
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
    const oldest = await database.query<{ pid: number }>(
      having('the oldest transactions').replace('limit 5', ''),
    );
    expect(oldest.map(({ pid }) => pid)).toContain(rows[0]?.pid);
    const tables = await database.query<{ relname: string }>(having('dead rows'));
    expect(tables.map(({ relname }) => relname).toSorted()).toEqual([
      'pgpubsub_channel',
      'pgpubsub_dead_letter',
      'pgpubsub_notification',
      'pgpubsub_process',
    ]);
    const waits = async () => (await database.query<{ count: string }>(having('pg_locks')))[0]?.count;
    await eventually(
      async () => (await waits()) === '0',
      'no session waits on the server, other tests included',
    );
  });

  it('assigns new ids after a restore', async () => {
    await (await connect()).destroy();
    const store = `select pgpubsub_notify('order_placed', '{}') as id`;
    const [before] = await database.query<{ id: string }>(store);
    await database.query(having('setval'));
    const [after] = await database.query<{ id: string }>(store);
    expect(Number(after?.id)).toBeGreaterThan(Number(before?.id) + 1_000_000_000);
    await database.query(having('truncate'));
    await expect(database.query('select from pgpubsub_notification')).resolves.toEqual([]);
  });
});

describe('the modules of docs/operations.md', () => {
  it.each([
    ['a direct connection', () => guide.behindPooler(database.url)],
    ['no heartbeat', () => guide.thatMaySleep()],
  ])('with %s receive broadcasts and handle stored notifications', async (_, module) => {
    const [prices, orders] = [collector(PriceChanged), collector(OrderPlaced)];
    await using app = await start({ providers: [prices.provider, orders.provider], module: module() });
    await app.pubsub.notify(PriceChanged, { id: 1 });
    await app.pubsub.notify(OrderPlaced, { id: 2 });
    expect((await prices.received.next()).payload).toEqual({ id: 1 });
    expect((await orders.received.next()).payload).toEqual({ id: 2 });
  });

  it('for web processes do not handle stored notifications', async () => {
    const [prices, orders] = [collector(PriceChanged), collector(OrderPlaced)];
    await using app = await start({ providers: [prices.provider, orders.provider], module: guide.forWeb() });
    await app.pubsub.notify(OrderPlaced, { id: 2 });
    await app.pubsub.notify(PriceChanged, { id: 1 });
    expect((await prices.received.next()).payload).toEqual({ id: 1 });
    await expect(app.pubsub.stored.count()).resolves.toBe(1);
    await expect(app.pubsub.recover([OrderPlaced])).rejects.toThrow('has a listener in this process');
  });
});

describe('the migrations of docs/operations.md', () => {
  const migrate = (source: DataSource, migration: MigrationInterface, direction: 'up' | 'down') =>
    source.transaction(async ({ queryRunner }) => {
      if (queryRunner) await migration[direction](queryRunner);
    });
  const changes = () => database.query(`select from pgpubsub_notification where channel = 'author'`);

  it('rewrite rows without notifications, which continue afterwards', async () => {
    const source = await connect(Author);
    try {
      await source.query('insert into author default values');
      await source.query('truncate pgpubsub_notification');
      await migrate(source, new guide.MovePrices1800000000000(), 'up');
      await expect(source.query('select royalty from author')).resolves.toEqual([{ royalty: 1 }]);
      await migrate(source, new guide.MovePrices1800000000000(), 'down');
      await expect(changes()).resolves.toHaveLength(0);
      await source.query('update author set royalty = 2');
      await expect(changes()).resolves.toHaveLength(1);
    } finally {
      await source.destroy();
    }
  });

  it('remove all objects of the library, and create them again', async () => {
    const source = await connect(Author);
    const ours = `select proname as name from pg_proc where proname like 'pgpubsub%'
      union all select relname from pg_class where relname like 'pgpubsub%'
      union all select tgname from pg_trigger where tgname like 'pgpubsub%'`;
    try {
      await migrate(source, new guide.RemovePubSub1900000000000(), 'up');
      await expect(source.query(ours)).resolves.toEqual([]);
      await migrate(source, new guide.RemovePubSub1900000000000(), 'down');
      await expect(generate(source)).resolves.toEqual(NOTHING);
    } finally {
      await source.destroy();
    }
  });
});

describe('the rules of docs/operations.md', () => {
  it('a renamed table has another channel, and one statement moves its stored changes', async () => {
    await (await connect(Author)).destroy();
    await database.query('insert into author default values; alter table author rename to writer');

    const seen = new Mailbox<unknown>();
    @Entity('writer')
    @NotifyChanges({ delivery: 'exactly-once' })
    class Writer {
      @PrimaryGeneratedColumn() id!: number;
      @Column('float8', { default: 100 }) royalty!: number;
    }
    @Injectable()
    class Writers {
      @OnInsert(Writer)
      created(change: EntityChange<Writer>) {
        seen.push(change);
      }
    }
    const options = { providers: [Writers], dataSource: { entities: [Writer] } };
    await using before = await start(options);
    await before.pubsub.recover();
    expect(await database.query('select channel from pgpubsub_notification')).toEqual([
      { channel: 'author' },
    ]);
    await before.close();

    const update = blocksOf(readText('docs/operations.md'), 'sql').find((sql) => sql.includes("'writer'"));
    await database.query(String(update));
    await using _after = await start(options);
    expect(await seen.next()).toMatchObject({ table: 'writer', new: { id: 1, royalty: 100 } });
  });

  it('a dead letter whose listener no process has stays when it is retried', async () => {
    @Injectable()
    class Gone {
      @Listener(OrderPlaced, { retry: { maxAttempts: 1 } })
      fail() {
        throw new Error('no');
      }
    }
    await using old = await start({ providers: [Gone] });
    await old.pubsub.notify(OrderPlaced, { id: 1 });
    await eventually(async () => (await old.pubsub.stored.count()) === 0, 'it is dead');
    await old.close();

    const { provider, received } = collector(OrderPlaced);
    await using app = await start({ providers: [provider] });
    const report = `insert into pgpubsub_process (instance, listeners) values ('another', '{"order_placed":["Other.take"]}')`;
    await database.query(report);
    await expect(app.pubsub.stored.retry({})).resolves.toBe(0);
    await app.pubsub.recover();
    expect(received.all).toEqual([]);
    await expect(app.pubsub.stored.count()).resolves.toBe(0);
    await expect(app.pubsub.stored.discard({})).resolves.toBe(1);
  });

  it.each([
    ['ends the claim of a handler that waits longer', {}, 2],
    ['ends no claim when the pool sets it to 0', { options: '-c idle_in_transaction_session_timeout=0' }, 1],
  ])('idle_in_transaction_session_timeout %s', async (_, extra, calls) => {
    await database.query(`alter database ${database.name} set idle_in_transaction_session_timeout = '3s'`);
    const attempts = new Mailbox<number>();
    @Injectable()
    class Waits {
      @Listener(OrderPlaced)
      async wait(_payload: unknown, { manager, attempt }: Notification) {
        attempts.push(attempt);
        if (attempts.all.length > 1) return;
        const session = `select state_change < clock_timestamp() - interval '4s' as is_over
          from pg_stat_activity where pid = ${await pidOf(manager)}`;
        const client = await database.client();
        await client.query('set idle_in_transaction_session_timeout = 0');
        await eventually(
          async () => (await client.query<{ is_over: boolean }>(session)).rows[0]?.is_over ?? true,
          'the session has waited, or is gone',
        );
      }
    }
    await using app = await start({ providers: [Waits], dataSource: { extra } });
    await app.pubsub.notify(OrderPlaced, { id: 1 });
    await eventually(async () => (await app.pubsub.stored.count()) === 0, 'it is handled');
    expect(attempts.all).toHaveLength(calls);
  });

  it('tables that move into another schema do not take waiting notifications with them', async () => {
    await (await connect()).destroy();
    await database.query(`select pgpubsub_notify('order_placed', '{}')`);
    const source = new DataSource({ type: 'postgres', url: database.url });
    await withPgPubSub(source, { channels: [OrderPlaced], schema: 'elsewhere' }).initialize();
    await run(source, (await generate(source)).up);
    await source.destroy();
    await expect(database.query('select from elsewhere.pgpubsub_notification')).resolves.toEqual([]);
    await expect(
      database.query(`select to_regclass('public.pgpubsub_notification') as was`),
    ).resolves.toEqual([{ was: null }]);
  });
});

async function pidOf(manager: EntityManager): Promise<number> {
  const [session] = await manager.query<{ pid: number }[]>('select pg_backend_pid() as pid');
  return session?.pid ?? 0;
}
