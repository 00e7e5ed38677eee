import assert from 'node:assert';
import {
  Column,
  Entity,
  PrimaryColumn,
  type DataSource,
  type EntityTarget,
  type ObjectLiteral,
} from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RowHydrator } from '../../../lib/triggers/row.hydrator.js';
import type { TestDatabase } from '../../support/database.js';
import { SHAPES, SPOTS, WITHOUT_GEOJSON, postgisInstallation, startPostgis } from '../../support/postgis.js';
import {
  createRecordingDatabase,
  expectSame,
  hydratorOf,
  open,
  record,
  rowOf,
} from '../../support/recorded-rows.js';

/**
 * Spatial columns as TypeORM maps them, and as applications map those that TypeORM cannot select.
 */
@Entity()
class Place {
  @PrimaryColumn('int') id!: number;
  @Column({ type: 'geometry', nullable: true }) shape!: object | null;
  @Column({ type: 'geography', nullable: true }) spot!: object | null;
  @Column({ type: 'geometry', precision: 3, nullable: true }) rounded!: object | null;
  @Column({ type: 'text', nullable: true }) raw!: string | null;
  @Column({ type: 'text', array: true, nullable: true }) parts!: string | null;
}

const TABLE = `
  create domain outline as geometry;
  create table place (
    id int primary key, shape outline, spot geography, rounded geometry, raw geometry, parts geometry[]
  )`;

/**
 * Records rows as a trigger sends them for a table with spatial columns: spatial columns of the
 * entity as the repository selects them, or as text when that fails; other columns with a type of
 * PostGIS as text. A write must never fail.
 */
const SPATIAL_RECORDER = `
  create function geo_json(value anyelement, variadic digits int[] default '{}') returns json
    language plpgsql stable strict
  as $$
  begin
    return case cardinality(digits)
      when 0 then public.st_asgeojson(value) else public.st_asgeojson(value, digits[1])
    end::json;
  exception when others then
    return to_json(value::text);
  end $$;
  create function record_place() returns trigger language plpgsql
    set datestyle = 'ISO' set intervalstyle = 'postgres' set bytea_output = 'hex'
    set extra_float_digits = 1 set search_path = pg_catalog, pg_temp
  as $$
  begin
    insert into public.recorded (as_row) values (json_build_object(
      'id', new.id, 'shape', public.geo_json(new.shape), 'spot', public.geo_json(new.spot),
      'rounded', public.geo_json(new.rounded, 3), 'raw', new.raw::text, 'parts', new.parts::text
    )::text);
    return null;
  end $$;
`;

describe.skipIf(postgisInstallation === undefined)('a spatial column', () => {
  let server: Awaited<ReturnType<typeof startPostgis>>;
  let database: TestDatabase;
  let dataSource: DataSource & AsyncDisposable;
  let hydrator: RowHydrator;

  beforeAll(async () => {
    server = await startPostgis();
    database = await createRecordingDatabase(server.url);
    await database.query('create extension postgis');
    await database.query(SPATIAL_RECORDER + TABLE);
    await database.query(
      'create trigger record after insert on place for each row execute function record_place()',
    );
    dataSource = await open(database, { entities: [Place] });
    hydrator = await hydratorOf(dataSource, Place);
  });
  afterAll(async () => {
    await dataSource?.destroy();
    await database?.[Symbol.asyncDispose]();
    await server?.stop();
  });

  let lastId = 0;
  const insert = async (column: keyof Place, value: string) => {
    const id = ++lastId;
    const { as_row } = await rowOf(
      dataSource,
      `insert into place (id, ${column}) values (${id}, '${value}')`,
    );
    return { id, as_row };
  };
  const load = (id: number, target: EntityTarget<ObjectLiteral> = Place) =>
    dataSource.manager.findOneBy(target, { id });

  it.each(SHAPES)('equals that of the repository: geometry %s', async (shape) => {
    for (const column of ['shape', 'rounded'] as const) {
      const { id, as_row } = await insert(column, shape);
      expectSame(hydrator.hydrate(as_row), await load(id));
    }
  });

  it.each(SPOTS)('equals that of the repository: geography %s', async (spot) => {
    const { id, as_row } = await insert('spot', spot);
    const place = hydrator.hydrate(as_row);
    expectSame(place, await load(id));
    expect(place).toMatchObject({ spot: { type: 'Point' } });
  });

  it.each(WITHOUT_GEOJSON)('is text without GeoJSON, and the write succeeds: %s', async (shape) => {
    const { id, as_row } = await insert('shape', shape);
    const [{ text } = { text: '' }] = await dataSource.query<{ text: string }[]>(
      `select shape::text as text from place where id = ${id}`,
    );
    expect(hydrator.hydrate(as_row)).toMatchObject({ id, shape: text });
    expect(text).toMatch(/^[0-9A-F]+$/);
    await expect(load(id)).rejects.toThrow();
  });

  it('is text when the entity maps it to text, alone and in arrays', async () => {
    const raw = await insert('raw', 'SRID=4326;CIRCULARSTRING(0 0,1 1,2 0)');
    expectSame(hydrator.hydrate(raw.as_row), await load(raw.id));
    const parts = await insert('parts', '{POINT(1 2):NULL:"CIRCULARSTRING(0 0,1 1,2 0)"}');
    const place = hydrator.hydrate(parts.as_row);
    expectSame(place, await load(parts.id));
    expect(place).toMatchObject({
      parts: expect.stringMatching(/^\{[0-9A-F]+:NULL:[0-9A-F]+\}$/) as unknown,
    });
  });

  it('is text when the writer may not use PostGIS', async () => {
    await dataSource.query(`
      create role guest; grant insert on place, recorded to guest; grant usage on sequence recorded_position_seq to guest;
      revoke select on spatial_ref_sys from public`);
    const client = await database.client();
    await client.query('set role guest');
    await dataSource.query('delete from recorded');
    await client.query(`insert into place (id, shape) values (1001, 'SRID=3857;POINT(1 2)')`);
    await dataSource.query('grant select on spatial_ref_sys to public');
    const [row] = await dataSource.query<{ as_row: string }[]>('select as_row from recorded');
    assert(row);
    expect(hydrator.hydrate(row.as_row)).toMatchObject({ shape: expect.stringMatching(/^01/) as unknown });
    await dataSource.query('drop owned by guest; drop role guest');
  });

  describe('in the JSON of the whole row', () => {
    @Entity()
    class Sketch {
      @PrimaryColumn('int') id!: number;
      @Column({ type: 'geometry' }) shape!: object;
      @Column({ type: 'geometry', precision: 3 }) rounded!: object;
    }
    let sketches: DataSource & AsyncDisposable;

    beforeAll(async () => {
      sketches = await open(database, { entities: [Sketch] });
      await sketches.query(
        `create table sketch (id int primary key, shape geometry, rounded geometry); ${record('sketch')}`,
      );
    });
    afterAll(() => sketches?.destroy());

    it.each(SHAPES)('equals that of the repository: %s', async (shape) => {
      const id = ++lastId;
      const row = await rowOf(sketches, `insert into sketch values (${id}, '${shape}', '${shape}')`);
      const loaded = await sketches.manager.findOneBy(Sketch, { id });
      expectSame((await hydratorOf(sketches, Sketch)).hydrate(row.as_row), loaded);
    });
  });
});
