import assert from 'node:assert';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, it } from 'vitest';
import {
  NotifyChanges,
  createNotifyTrigger,
  withPgPubSub,
  type EntityChange,
  type NotifyChangesOptions,
  type TriggerDeclaration,
} from 'nestjs-pgpubsub';
import { Database } from '../../../lib/triggers/database.js';
import { TestApp } from '../../support/app.js';
import { TestDatabase } from '../../support/database.js';
import { collector, type Received } from '../../support/listeners.js';
import { eventually, type Mailbox } from '../../support/mailbox.js';
import { NOTHING, generate, run } from '../../support/migrations.js';
import { SHAPES, SPOTS, WITHOUT_GEOJSON, postgisInstallation, startPostgis } from '../../support/postgis.js';
import { expectSame } from '../../support/recorded-rows.js';

/**
 * The entity, and its table as applications have it: with columns that TypeORM cannot create or
 * select.
 */
function placeOf(options: NotifyChangesOptions) {
  @Entity('place')
  @NotifyChanges(options)
  class Place {
    @PrimaryColumn('bigint') id!: string;
    @Column('text', { default: '' }) name!: string;
    @Column({ type: 'geometry', nullable: true }) shape!: object | null;
    @Column({ type: 'geography', nullable: true }) spot!: object | null;
    @Column({ type: 'geometry', precision: 3, nullable: true }) rounded!: object | null;
    @Column({ type: 'text', nullable: true }) raw!: string | null;
    @Column({ type: 'text', array: true, nullable: true }) parts!: string | null;
    @Column('numeric', { default: '1.10' }) price!: string;
    @Column('timestamptz', { default: '2024-01-01T00:00:00.123456Z' }) at!: Date;
  }
  return Place;
}
type Place = InstanceType<ReturnType<typeof placeOf>>;

const TABLE = `
  create domain outline as geometry; create domain outlines as outline[];
  create table place (
    id bigint primary key, name text not null default '', dropped int, shape outline, spot geography, rounded geometry, raw geometry,
    parts outlines, price numeric not null default 1.10, at timestamptz not null default '2024-01-01T00:00:00.123456Z'
  ); alter table place drop column dropped`;

const LEVELS = ['row', 'statement'] as const;
const DELIVERIES = ['broadcast', 'exactly-once'] as const;
const KINDS = LEVELS.flatMap((level) => DELIVERIES.map((delivery) => ({ level, delivery })));
const OPERATIONS = ['insert', 'update', 'delete'] as const;

/** Columns and values, as SQL literals. */
const WITH_GEOJSON: readonly (readonly [string, string])[] = [
  ...SHAPES.flatMap((shape) => [['shape', shape], ['rounded', shape], ['raw', shape]] as const),
  ...SPOTS.map((spot) => ['spot', spot] as const),
  ...WITHOUT_GEOJSON.map((shape) => ['raw', shape] as const),
  ['parts', '{POINT(1 2):NULL:"CIRCULARSTRING(0 0,1 1,2 0)"}'],
]; // prettier-ignore

describe.skipIf(postgisInstallation === undefined)('a table with spatial columns', () => {
  let server: Awaited<ReturnType<typeof startPostgis>>;
  let database: TestDatabase;
  beforeAll(async () => {
    server = await startPostgis();
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    database = await TestDatabase.create(server.url);
    await database.query(`create schema "G is"; create extension postgis schema "G is"`);
    await database.query(`alter database ${database.name} set search_path = public, "G is"`);
    await database.query(TABLE);
  });
  afterEach(() => database[Symbol.asyncDispose]());

  /** An application whose listener receives the changes of the table. */
  async function start(options: NotifyChangesOptions) {
    const Place = placeOf(options);
    const { provider, received } = collector<EntityChange<Place>>(Place);
    const app = await TestApp.start({
      url: database.url,
      dataSource: { entities: [Place], installExtensions: false },
      patch: withPgPubSub,
      providers: [provider],
      options: { synchronize: true },
    });
    await app.pubsub.notify('ready', {}); // resolves when it is connected
    return { app, received, load: (id: string) => app.dataSource.manager.findOneBy(Place, { id }) };
  }

  function same(received: Place | null, loaded: Place | null): void {
    assert(received !== null && loaded !== null);
    expectSame(received, loaded);
  }

  const change = async (received: Mailbox<Received<EntityChange<Place>>>, operation: string, id: string) =>
    (await received.find(({ payload }) => payload.operation === operation && payload.entity?.id === id))
      .payload;

  describe.each(KINDS)('at level $level, $delivery,', ({ level, delivery }) => {
    const given = { level, delivery, on: [...OPERATIONS] };

    it('notifies rows equal to those of the repository', async () => {
      const { app, received, load } = await start(given);
      await using _ = app;
      for (const [at, [column, value]] of WITH_GEOJSON.entries())
        await database.query(`insert into place (id, ${column}) values (${at}, '${value}')`);
      await database.query(`update place set price = 2.50 where id <> 0; insert into place (id) values (9007199254740993)`);
      for (const at of [...WITH_GEOJSON.keys(), '9007199254740993']) {
        const id = String(at);
        const loaded = await load(id);
        const before = Object.assign(Object.create(Object.getPrototypeOf(loaded) as object) as Place, loaded, { price: '1.10' });
        const inserted = await change(received, 'insert', id);
        same(inserted.new, before);
        if (at === 0 || typeof at === 'string') continue;
        const updated = await change(received, 'update', id);
        same(updated.new, loaded);
        same(updated.old, before);
        expect(updated).toMatchObject({ changed: ['price'], truncated: false });
      }
    }); // prettier-ignore

    it('never fails a write, and sends values without GeoJSON as text', async () => {
      const { app, received } = await start(given);
      await using _ = app;
      const rows = WITHOUT_GEOJSON.map((shape, at) => `(${at}, '${shape}', '${shape}')`);
      await database.query(`insert into place (id, shape, rounded) values ${rows.join()}`);
      const texts = await database.query<{ id: string; text: string }>('select id, shape::text as text from place');
      await database.query(`update place set name = 'b' || id; delete from place`);
      for (const { id, text } of texts) {
        expect(text).toMatch(/^[0-9A-F]+$/);
        const row = { id, shape: text, rounded: text, price: '1.10' };
        expect((await change(received, 'insert', id)).new).toMatchObject(row);
        expect(await change(received, 'update', id)).toMatchObject({ old: { ...row, name: '' }, new: { ...row, name: `b${id}` } });
        expect((await change(received, 'delete', id)).old).toMatchObject(row);
      }
    }); // prettier-ignore

    it('leaves columns out, and evaluates "of" and "when"', async () => {
      const { app, received } = await start({
        ...given, on: ['update'], columns: ['id', 'shape', 'spot'], of: ['shape'], when: `NEW.name <> 'silent'`,
      }); // prettier-ignore
      await using _ = app;
      await database.query(`insert into place (id, name) values (1, ''), (2, 'silent'), (3, '')`);
      await database.query(`update place set shape = 'POINT(1 2)' where id < 3; update place set spot = 'POINT(1 2)'`);
      await database.query(`update place set shape = 'CIRCULARSTRING(0 0,1 1,2 0)'`);
      await eventually(() => received.all.length >= 3, 'all have arrived');
      const seen = received.all.map(({ payload: { old, new: now } }) => [now?.id, old?.shape, typeof now?.shape, now?.spot, now?.name]);
      expect(seen.toSorted(([a], [b]) => Number(a) - Number(b))).toEqual([
        ['1', null, 'object', null, undefined],
        ['1', { type: 'Point', coordinates: [1, 2] }, 'string', { type: 'Point', coordinates: [1, 2] }, undefined],
        ['3', null, 'string', { type: 'Point', coordinates: [1, 2] }, undefined],
      ]);
    }); // prettier-ignore

    it('never fails a write of a role that may not use PostGIS', async () => {
      const { app, received } = await start(given);
      await using _ = app;
      await database.query(`
        do $$ begin create role guest; exception when duplicate_object then null; end $$;
        grant insert on place to guest; revoke select on "G is".spatial_ref_sys from public;
        grant insert (channel, payload, key, context, available_at) on pgpubsub_notification to guest`);
      const client = await database.client();
      await client.query(`set role guest; insert into place (id, shape) values (1, '0101000020110F0000000000000000F03F0000000000000040')`);
      expect((await change(received, 'insert', '1')).new).toMatchObject({ shape: expect.stringMatching(/^0101000020110F/) as unknown });
      await client.end();
    }); // prettier-ignore
  });

  it.each(LEVELS)('calls no function of another role, at level %s', async (level) => {
    await database.query(`create function "G is".st_asgeojson("G is".geometry) returns text language sql as $$ select '"hostile"' $$;
      create function "G is".st_asgeojson(outline) returns text language sql as $$ select '"hostile"' $$;
      create function "G is".st_asgeojson(outline, int, int) returns text language sql as $$ select '"hostile"' $$;
      create function "G is".st_asgeojson("G is".geography, int) returns text language sql as $$ select '"hostile"' $$`);
    const { app, received } = await start({ level });
    await using _ = app;
    await database.query(
      `insert into place (id, shape, spot, rounded) values (1, 'POINT(1 2)', 'POINT(1 2)', 'POINT(1 2)')`,
    );
    const point = { type: 'Point', coordinates: [1, 2] };
    expect((await change(received, 'insert', '1')).new).toMatchObject({
      shape: point,
      spot: point,
      rounded: point,
    });
  });

  it.each(LEVELS)('sends the key of a row that is too large, at level %s', async (level) => {
    const { app, received, load } = await start({ level });
    await using _ = app;
    const line = `'LINESTRING(0 0' || repeat(',0.123456789 0.987654321', 5000) || ')'`;
    await database.query(`insert into place (id, name, shape) values (1, repeat('x', 9000), 'POINT(1 2)'), (2, '', ${line}),
      (3, repeat('y', 9000), 'CIRCULARSTRING(0 0,1 1,2 0)'), (4, '', 'POINT(3 4)')`);
    for (const id of ['1', '2']) {
      const inserted = await change(received, 'insert', id);
      expect(inserted.truncated).toBe(true);
      same(inserted.new, await load(id));
    }
    expect(await change(received, 'insert', '4')).toMatchObject({
      truncated: false,
      new: { shape: { coordinates: [3, 4] } },
    });
    const rejected = app.log.find(({ text }) => text.includes('that can be loaded, got:')); // as a repository fails
    expect((await rejected).text).toContain('"public"."place"');
  });

  describe('in a migration', () => {
    const sources: DataSource[] = [];
    afterEach(async () => {
      for (const source of sources.splice(0)) await source.destroy();
    });
    async function connect(entities: (new () => object)[], ...triggers: TriggerDeclaration[]) {
      const given = { type: 'postgres', url: database.url, entities, installExtensions: false } as const;
      const source = await withPgPubSub(new DataSource(given), { triggers }).initialize();
      sources.push(source);
      return source;
    }
    const functions = () =>
      database.query<{ name: string; source: string }>(
        `select proname as name, prosrc as source from pg_proc where obj_description(oid, 'pg_proc') like 'pgpubsub:%'`,
      );

    @Entity()
    @NotifyChanges({ channel: 'rows' })
    @NotifyChanges({ channel: 'statements', level: 'statement' })
    @NotifyChanges({ channel: 'names', columns: ['id'] })
    class Sketch {
      @PrimaryColumn('int') id!: number;
      @Column({ type: 'geometry', spatialFeatureType: 'Point', srid: 4326 }) shape!: object;
      @Column({ type: 'geometry', spatialFeatureType: 'Point', srid: 4326, precision: 3, nullable: true })
      rounded!: object | null;
    }

    it('is created with its triggers, and compared with them', async () => {
      const source = await connect([Sketch]);
      const migration = await generate(source);
      await run(source, migration.up);
      expect((await Database.of(source).diff()).differences).toEqual([]);
      const [name, ...others] = (await functions()).toSorted((a, b) => a.source.length - b.source.length);
      expect(name?.source).not.toContain('st_asgeojson');
      expect(others).toHaveLength(2);
      for (const { source: text } of others) {
        expect(text).toContain('"G is".st_asgeojson(');
        expect(text).toMatch(/st_asgeojson\(\S+::"G is"\.geometry, 3, 8\)::json/);
      }
      await run(source, migration.down);
      expect(await functions()).toEqual([]);
    });

    it('gets the same triggers from a handwritten migration', async () => {
      const source = await connect([Sketch]);
      await source.query('create table sketch (id int primary key, shape geometry(point, 4326) not null, rounded geometry)');
      const runner = source.createQueryRunner();
      await createNotifyTrigger(runner, { table: 'sketch', channel: 'rows' });
      await createNotifyTrigger(runner, { table: 'sketch', channel: 'statements', level: 'statement' });
      await createNotifyTrigger(runner, { table: 'sketch', channel: 'names', columns: ['id'] });
      await runner.release();
      const { differences } = await Database.of(source).diff();
      expect(differences.filter(({ object }) => !object.includes('storage'))).toEqual([]);
    }); // prettier-ignore

    it('needs no entity', async () => {
      const source = await connect([], { table: 'place' }, { table: 'place', channel: 'all', level: 'statement' });
      await run(source, (await generate(source)).up);
      expect(await generate(source)).toEqual(NOTHING);
      const client = await database.client();
      const sent: unknown[] = [];
      client.on('notification', ({ payload = '' }) => sent.push((JSON.parse(payload) as { new: unknown }).new));
      await client.query('listen place; listen "all"');
      await client.query(`insert into place (id, shape, raw, parts) values (1, 'POINT(1 2)', 'CIRCULARSTRING(0 0,1 1,2 0)', '{POINT(1 2)}')`);
      const text = expect.stringMatching(/^\{?[0-9A-F]+\}?$/) as unknown;
      const row = { id: 1, shape: { type: 'Point', coordinates: [1, 2] }, raw: text, parts: text, spot: null };
      expect(sent).toEqual([expect.objectContaining(row), expect.objectContaining(row)]);
      await client.end();
    }); // prettier-ignore

    it.each(LEVELS)('stores the key of an ordered channel, at level %s', async (level) => {
      const ordered = { table: 'place', primaryKey: ['id'], level, delivery: 'exactly-once', ordered: true, on: ['insert'] } as const;
      await database.query('create table cell (place geometry primary key)');
      const source = await connect([], ordered, { ...ordered, table: 'cell', primaryKey: ['place'] });
      await run(source, (await generate(source)).up);
      const curve = 'CIRCULARSTRING(0 0,1 1,2 0)';
      await source.query(`insert into place (id, shape) values (9007199254740993, '${curve}'); insert into cell values ('${curve}')`);
      const rows = await source.query<{ key: string }[]>('select key from pgpubsub_notification order by id');
      expect(rows.map(({ key }) => key)).toEqual(['9007199254740993', expect.stringMatching(/^0108[0-9A-F]+$/)]);
    }); // prettier-ignore

    it('needs no function of its own when no spatial columns are sent', async () => {
      const source = await connect([], { table: 'place', columns: ['id', 'name'] }, { table: 'plain' });
      await source.query('create table plain (id int, box box, at point[])');
      await run(source, (await generate(source)).up);
      expect((await functions()).map(({ name }) => name.replace(/_\w{8}$/, ''))).toEqual([
        'pgpubsub_place_place',
      ]);
    });
  });
});
