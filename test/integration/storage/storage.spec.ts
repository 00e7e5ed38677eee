import { Column, DefaultNamingStrategy, Entity, type DataSource, PrimaryGeneratedColumn } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { NotifyChanges, defineChannel } from 'nestjs-pgpubsub';
import { describeDifference, schemaDrifted, verifySchema } from '../../../lib/triggers/schema.verifier.js';
import { Database } from '../../../lib/triggers/database.js';
import { NOTHING, STORED, generate, useStorage } from '../../support/storage.js';

const { connect, migrate, query, snapshot } = useStorage();

@Entity()
@NotifyChanges({ delivery: 'exactly-once' })
class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') name!: string;
}

/** The tables and functions of the library, by schema and name. */
async function storage(): Promise<string[]> {
  const { tables = [], functions = [] } = await snapshot();
  const names = [...tables, ...functions].map((row) =>
    [row['nspname'], row['relname'] ?? row['proname']].join('.'),
  );
  return names.filter((name) => /\.pgpubsub_\w+$/.test(name));
}

const STORAGE = [
  'channel', 'dead_letter', 'dead_letter_letter_seq', 'notification', 'notification_id_seq', 'process',
  'broadcast', 'complete', 'key', 'notify', 'schema_version', 'store',
].map((name) => `public.pgpubsub_${name}`); // prettier-ignore

// prettier-ignore

describe('the storage', () => {
  it('is created with an exactly-once channel, before its triggers, and dropped with it', async () => {
    const source = await connect({ dataSource: { entities: [Author] } });
    const { up, down } = await migrate(source);
    expect(await storage()).toEqual(STORAGE);
    const at = (texts: readonly string[], start: string) => texts.findIndex((text) => text.startsWith(start));
    expect(at(up, 'create table "public"."pgpubsub_notification"')).toBeLessThan(at(up, 'create trigger'));
    expect(at(down, 'drop table "public"."pgpubsub_notification"')).toBeGreaterThan(at(down, 'drop trigger'));
    await source.destroy();

    await migrate(await connect({ dataSource: { entities: [] } }));
    expect(await storage()).toEqual([]);
  });

  it('is created for a definition that is used without an entity', async () => {
    await migrate(await connect({ channels: [STORED] }));
    expect(await storage()).toEqual(STORAGE);
  });

  it('is not created for broadcasts', async () => {
    const source = await connect({ channels: [defineChannel<never>('orders')] });
    expect(Database.of(source).needsStorage).toBe(false);
    expect(await generate(source)).toEqual(NOTHING);
    expect((await verifySchema(source)).drift).toEqual([]);
  });

  it('is created by synchronize(), which drops it unless notifications wait', async () => {
    await connect({ channels: [STORED], dataSource: { synchronize: true } });
    expect(await storage()).toEqual(STORAGE);
    await query(`select pgpubsub_notify('orders', '1')`);
    const source = await connect({ dataSource: { synchronize: true } });
    expect(await storage()).toEqual(STORAGE);
    await query('delete from pgpubsub_notification');
    await source.synchronize();
    expect(await storage()).toEqual([]);
  });

  it('is created again after schema:drop', async () => {
    const source = await connect({ channels: [STORED], dataSource: { synchronize: true } });
    const before = await snapshot();
    await source.dropDatabase();
    await source.synchronize();
    expect(await snapshot()).toEqual(before);
  });

  it('is created in the configured schema, which is created, too, and moves with it', async () => {
    const source = await connect({ channels: [STORED], schema: 'Stored "here"' });
    await migrate(source);
    expect(Database.of(source).storage.schema).toBe('Stored "here"');
    expect(await storage()).toEqual(STORAGE.map((name) => name.replace('public', 'Stored "here"')));
    await source.destroy();
    await migrate(await connect({ channels: [STORED] }));
    expect(await storage()).toEqual(STORAGE);
  });

  it('ignores naming strategies', async () => {
    class Prefixing extends DefaultNamingStrategy {
      override tableName = (name: string) => `app_${name}`;
      override columnName = (name: string) => `the_${name}`;
      override indexName = () => 'some_index';
      override primaryKeyName = () => 'some_key';
    }
    await migrate(
      await connect({
        dataSource: { entities: [Author], namingStrategy: new Prefixing(), entityPrefix: 'x_' },
      }),
    );
    expect(await storage()).toEqual(STORAGE);
  });

  it('does not depend on the search path of the session', async () => {
    const extra = { options: '-c search_path=pg_catalog,public' };
    await migrate(await connect({ channels: [STORED], dataSource: { schema: 'public', extra } }));
    const source = await connect({ channels: [STORED], owner: 'public.migrations' });
    expect(await generate(source)).toEqual(NOTHING);
  });
});

describe('an object of the storage that was changed by hand', () => {
  const notification = 'alter table pgpubsub_notification';
  const drifted = 'drifted: table public.pgpubsub_notification';
  it.each([
    ['a missing column', `${notification} drop column retries`, drifted],
    ['a renamed column', `${notification} rename retries to tries`, drifted],
    ['an added column', `${notification} add column more int not null default 1`, drifted],
    ['another type', `${notification} alter attempts type bigint`, drifted],
    ['another default', `${notification} alter available_at set default now()`, drifted],
    ['a missing default', `${notification} alter created_at drop default`, drifted],
    ['a column that accepts null', `${notification} alter attempts drop not null`, drifted],
    ['a column that rejects null', `${notification} alter key set not null`, drifted],
    ['a column without identity', `${notification} alter id drop identity`, drifted],
    ['another identity', `${notification} alter id set generated always`, drifted],
    ['a missing primary key', `${notification} drop constraint pgpubsub_notification_pkey`, drifted],
    ['an added constraint', `${notification} add check (attempts < 5)`, drifted],
    ['another primary key', `alter table pgpubsub_dead_letter drop constraint pgpubsub_dead_letter_pkey, add constraint pgpubsub_dead_letter_pkey primary key (id)`, 'drifted: table public.pgpubsub_dead_letter'],
    ['a missing index', 'drop index pgpubsub_notification_claim', 'missing: index public.pgpubsub_notification_claim'],
    ['another index', 'drop index pgpubsub_notification_key; create index pgpubsub_notification_key on pgpubsub_notification (channel, key)', 'drifted: index public.pgpubsub_notification_key'],
    ['a unique index', 'drop index pgpubsub_notification_claim; create unique index pgpubsub_notification_claim on pgpubsub_notification (channel, available_at, id)', 'drifted: index public.pgpubsub_notification_claim'],
    ['other settings', `${notification} set (autovacuum_vacuum_threshold = 50, fillfactor = 50)`, drifted],
    ['missing settings', `${notification} reset (autovacuum_vacuum_scale_factor)`, drifted],
    ['an unlogged table', `${notification} set unlogged`, drifted],
    ['a missing table', 'drop table pgpubsub_dead_letter', 'missing: table public.pgpubsub_dead_letter'],
    ['a missing function', 'drop function pgpubsub_complete', 'missing: function public.pgpubsub_complete'],
    ['another body', `create or replace function pgpubsub_key(changed json, names text[]) returns text stable language plpgsql as 'begin return null; end'`, 'drifted: function public.pgpubsub_key'],
    ['another language', `create or replace function pgpubsub_schema_version() returns text stable language sql as 'select null::text'`, 'drifted: function public.pgpubsub_schema_version'],
    ['another volatility', 'alter function pgpubsub_schema_version() volatile', 'drifted: function public.pgpubsub_schema_version'],
    ['another search path', 'alter function pgpubsub_notify set search_path = public', 'drifted: function public.pgpubsub_notify'],
    ['other rights', 'alter function pgpubsub_notify security definer', 'drifted: function public.pgpubsub_notify'],
    ['a second function of this name', `create function pgpubsub_key(x int) returns text language sql as 'select null::text'`, 'drifted: function public.pgpubsub_key'],
  ])('is reported with the remedy, and not changed: %s', async (_, change, drift) => {
    const source = await connect({ channels: [STORED], dataSource: { synchronize: true } });
    expect(await driftOf(source)).toEqual([]);
    await query(change);
    const changed = await snapshot();
    expect(await driftOf(source)).toContain(drift);
    expect(await generate(source)).toEqual(NOTHING);
    await source.synchronize();
    expect(await snapshot()).toEqual(changed);
    const error = schemaDrifted(source, (await verifySchema(source)).drift);
    expect(error.message).toContain('Undo what was changed by hand ("pgpubsub migrate --sql"');
    expect(error.message).not.toContain('migration:generate');
  }); // prettier-ignore

  it('is ignored when it is an index of another name', async () => {
    const source = await connect({ channels: [STORED], dataSource: { synchronize: true } });
    await query('create index mine on pgpubsub_notification (created_at)');
    expect(await driftOf(source)).toEqual([]);
  });

  it('is rejected when it is not a table', async () => {
    await query('create view pgpubsub_notification as select 1');
    const source = await connect({ channels: [STORED] });
    await expect(generate(source)).rejects.toMatchObject({
      code: 'SCHEMA_DRIFTED',
      message: expect.stringContaining('got a view or a partitioned table'),
    });
  });

  it('is one function, which a migration replaces, when the DataSource renames its migrations table', async () => {
    await connect({ channels: [STORED], owner: 'me', dataSource: { synchronize: true } });
    const source = await connect({
      channels: [STORED],
      owner: 'me',
      dataSource: { migrationsTableName: 'renamed' },
    });
    expect(await driftOf(source)).toEqual(['drifted: function public.pgpubsub_schema_version']);
    const { up, down } = await migrate(source);
    expect([up.length, down.length]).toEqual([1, 1]);
  });
});

const driftOf = async (source: DataSource): Promise<string[]> =>
  (await verifySchema(source)).drift.map(describeDifference);

describe('channels that are known only at run time', () => {
  it('need the storage, too', async () => {
    const source = await connect();
    expect((await verifySchema(source, { needsStorage: true })).drift.map(describeDifference)).toEqual([
      'missing: table public.pgpubsub_channel',
      'missing: table public.pgpubsub_dead_letter',
      'missing: table public.pgpubsub_notification',
      'missing: table public.pgpubsub_process',
    ]);
    await Database.of(source).synchronize({ needsStorage: true });
    expect((await verifySchema(source, { needsStorage: true })).drift).toEqual([]);
    expect(await storage()).toEqual(STORAGE);
  });
});
