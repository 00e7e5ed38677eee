import { describe, expect, it } from 'vitest';
import { STORED, useStorage } from '../../support/storage.js';

const { client, connect, query } = useStorage();

describe('pgpubsub_notify()', () => {
  interface Stored {
    readonly id: string;
    readonly payload: string | null;
    readonly key: string | null;
    readonly schema_version: string | null;
    readonly context: unknown;
    readonly due: boolean;
  }

  const stored = () =>
    query<Stored & Record<string, unknown>>(
      `select id, channel, payload::text, key, context, schema_version, attempts, handled_by, last_error, listeners, retries, deaths,
        process_id is not null as has_process, available_at <= clock_timestamp() and created_at <= clock_timestamp() as due
      from pgpubsub_notification order by id`,
    );

  it('stores with defaults, and sends a hint in the same transaction', async () => {
    await connect({ channels: [STORED], dataSource: { synchronize: true } });
    const listening = await client();
    const hints: string[] = [];
    const arrived = new Promise<void>((resolve) => {
      listening.on('notification', ({ channel, payload }) => {
        if (channel === 'end') resolve();
        else hints.push(`${channel}: ${payload}`);
      });
    });
    await listening.query('listen pgpubsub; listen "end"');
    const rows = await query<{ id: string }>(`select pgpubsub_notify('orders', '{"b":1, "a":2}') as id`);
    await query(`do $$ begin
      perform pgpubsub_notify('orders', null); perform pgpubsub_notify(channel => 'letters', payload => '2', key => 'k',
      context => '{"tenant":"a"}', available_at => now() + interval '1 day'); end $$`);
    await query(`notify "end"`);
    await arrived;
    expect(hints).toEqual(['pgpubsub: orders', 'pgpubsub: orders', 'pgpubsub: letters']);
    const rest = {
      attempts: 0,
      handled_by: [],
      last_error: null,
      listeners: null,
      retries: null,
      deaths: 0,
      has_process: true,
      schema_version: null,
    };
    const plain = { ...rest, channel: 'orders', key: null, context: null, due: true };
    expect(await stored()).toEqual([
      { ...plain, id: rows[0]?.id, payload: '{"b":1, "a":2}' },
      { ...plain, id: expect.any(String), payload: null },
      {
        ...plain,
        id: expect.any(String),
        channel: 'letters',
        payload: '2',
        key: 'k',
        context: { tenant: 'a' },
        due: false,
      },
    ]);
  });

  it('stores nothing when the transaction rolls back', async () => {
    await connect({ channels: [STORED], dataSource: { synchronize: true } });
    await query(`begin; select pgpubsub_notify('orders', '1'); rollback`);
    expect(await stored()).toEqual([]);
  });

  it.each([
    [`''`, `null`, 'expected the name of the channel to have 1 to 63 bytes, got 0'],
    [`repeat('x', 64)`, `null`, 'expected the name of the channel to have 1 to 63 bytes, got 64'],
    ['null', `null`, 'expected the name of the channel to have 1 to 63 bytes, got null'],
    [`'orders'`, `'[1]'`, 'expected the context to be a JSON object, got array'],
  ])('rejects the channel %s with the context %s', async (channel, context, message) => {
    await connect({ channels: [STORED], dataSource: { synchronize: true } });
    await expect(query(`select pgpubsub_notify(${channel}, '1', null, ${context})`)).rejects.toThrow(message);
  });

  it.each([
    ['without a table of migrations', [], null],
    [
      'with an empty table of migrations',
      ['create table migrations (id serial primary key, timestamp bigint, name text)'],
      null,
    ],
    [
      'with the newest executed migration',
      [
        'create table migrations (id serial primary key, timestamp bigint, name text)',
        `insert into migrations (timestamp, name) values (3, 'First3'), (1, 'Second1')`,
      ],
      'Second1',
    ],
    [
      'with a table of migrations of another program',
      ['create table migrations (id int, migration text)'],
      null,
    ],
  ])('stores the version of the schema %s', async (_, statements, version) => {
    await connect({ channels: [STORED], dataSource: { synchronize: true } });
    for (const statement of statements) await query(statement);
    await query(`select pgpubsub_notify('orders', '1')`);
    expect(await stored()).toMatchObject([{ schema_version: version }]);
  });

  it.each([
    ['table', 'create table migrations (id serial primary key, timestamp bigint, name text)', 'migrations'],
    [
      'schema',
      'create schema hidden; create table hidden.migrations (id int, name text)',
      'hidden.migrations',
    ],
  ])(
    'works for a role that may not read the %s of the migrations',
    async (_, create, migrationsTableName) => {
      const role = `writer_${Math.random().toString(36).slice(2)}`;
      const dataSource = { synchronize: true, migrationsTableName };
      await query(create);
      await query(`create role ${role}`);
      try {
        await connect({ channels: [STORED], dataSource });
        await query(`grant insert, select (id) on pgpubsub_notification to ${role}`);
        await query(`set role ${role}; select pgpubsub_notify('orders', '1')`);
        expect(await stored()).toMatchObject([{ schema_version: null }]);
      } finally {
        await query(`drop owned by ${role}; drop role ${role}`);
      }
    },
  );
});
