import pg from 'pg';
import { DefaultNamingStrategy, type DataSource } from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { splitJsonObject } from '../../../lib/common/json-text.js';
import type { RowHydrator } from '../../../lib/triggers/row.hydrator.js';
import { AllTypes, LACKING, Owner } from '../../support/all-types.entity.js';
import { ROWS, type SqlRow } from '../../support/all-types.rows.js';
import type { TestDatabase } from '../../support/database.js';
import {
  createRecordingDatabase,
  expectSame,
  hydratorOf,
  open,
  record,
  rowsOf,
  without,
  type Recorded,
} from '../../support/recorded-rows.js';

class SnakeCaseNames extends DefaultNamingStrategy {
  override columnName(property: string, name: string | undefined, prefixes: string[]): string {
    return [...prefixes, name ?? property]
      .join('_')
      .replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  }
  override joinColumnName(relation: string, column: string): string {
    return this.columnName(`${relation}_${column}`, undefined, []);
  }
}

const WRITERS = {
  'an ordinary session': [],
  'a session with other formats of output': [
    "set datestyle = 'SQL, DMY'",
    "set intervalstyle = 'iso_8601'",
    "set bytea_output = 'escape'",
    "set timezone = 'Asia/Kolkata'",
    'set extra_float_digits = -5',
  ],
  'a session west of Greenwich, in German style': [
    "set datestyle = 'German'",
    "set intervalstyle = 'sql_standard'",
    "set timezone = 'America/St_Johns'",
  ],
};

/**
 * Returns every value as the text of PostgreSQL: differences before pg's parsers become visible.
 */
const TEXTS = { types: { getTypeParser: () => String } };

/**
 * The parsers of pg, but the one of timestamps throws for a text that PostgreSQL does not write.
 */
const EXACT = {
  getTypeParser: (oid: Parameters<typeof pg.types.getTypeParser>[0]) => {
    const parse = pg.types.getTypeParser(oid) as (text: string) => unknown;
    return (text: string) => {
      if (oid === pg.types.builtins.TIMESTAMPTZ && /[+-]\d\d:00( BC)?$/.test(text)) throw new Error(text);
      return parse(text);
    };
  },
};

const READERS: Record<string, Partial<PostgresDataSourceOptions>> = {
  'with the defaults': {},
  'with parseInt8': { parseInt8: true },
  'in another time zone': { extra: { options: '-c timezone=America/New_York' } },
  'with a strict parser': { extra: { types: EXACT } },
  'without parsers of pg': { extra: TEXTS },
  'without parsers of pg, in another time zone': {
    extra: { ...TEXTS, options: '-c timezone=Australia/Lord_Howe' },
  },
};

const SIMPLIFIED_ID = '5';

describe.each([
  ['with the default naming strategy', {}],
  ['with another naming strategy', { namingStrategy: new SnakeCaseNames() }],
])('rows with all types, %s,', (_, naming) => {
  const entities = { entities: [AllTypes, Owner], ...naming };
  let database: TestDatabase;
  let writer: DataSource;

  beforeAll(async () => {
    database = await createRecordingDatabase();
    writer = await open(database, { ...entities, synchronize: true });
    await writer.manager.insert(Owner, { name: 'Ada' });
    for (const row of Object.values(ROWS)) await writer.query(insert(row));
    await writer.query(record('all_types'));
  });
  afterAll(async () => {
    await writer?.destroy();
    await database[Symbol.asyncDispose]();
  });

  function insert(row: SqlRow): string {
    const metadata = writer.getMetadata(AllTypes);
    const entries = Object.entries(row).filter(([path]) => !LACKING.has(path));
    const columns = entries.map(([path]) => {
      const column =
        metadata.findColumnWithPropertyPath(path) ??
        metadata.findRelationWithPropertyPath(path)?.joinColumns[0];
      return `"${column?.databaseName ?? path}"`;
    });
    return `insert into all_types (${columns.join()}) values (${entries.map(([, value]) => value).join()})`;
  }

  /** Lets a session with these settings write all rows, and returns them by their keys. */
  async function written(settings: readonly string[]): Promise<Map<string, Recorded>> {
    const client = await database.client();
    for (const statement of settings) await client.query(statement);
    const rows = await rowsOf(client, 'update all_types set touched = touched + 1');
    expect(rows).toHaveLength(Object.keys(ROWS).length);
    return new Map(rows.map((row) => [splitJsonObject(row.as_row).get('id') ?? '', row]));
  }

  describe.each(Object.entries(READERS))('read %s', (_, options) => {
    let reader: DataSource;
    let hydrator: RowHydrator;
    beforeAll(async () => {
      reader = await open(database, { ...entities, ...options });
      hydrator = await hydratorOf(reader, AllTypes);
    });
    afterAll(async () => {
      await reader.destroy();
      pg.defaults.parseInt8 = false; // this option of TypeORM is global
    });

    it.each(Object.entries(WRITERS))(
      'equal those of the repository when they were written by %s',
      async (_, settings) => {
        const seesTexts = options.extra?.types === TEXTS.types;
        for (const [id, { as_row, as_jsonb }] of await written(settings)) {
          const query = reader.getRepository(AllTypes).createQueryBuilder('row').withDeleted().where({ id });
          if (seesTexts && id === SIMPLIFIED_ID) continue;
          expectSame(hydrator.hydrate(without('secret', as_row)), await query.getOne());
          if (seesTexts) continue; // jsonb has its own format of floats and json
          expectSame(hydrator.hydrate(without('secret', as_jsonb)), await query.getOne());
          expectSame(hydrator.hydrate(as_row), await query.addSelect('row.secret').getOne());
        }
      },
    );
  });

  it('equal the results of findOneBy()', async () => {
    const hydrator = await hydratorOf(writer, AllTypes);
    const row = (await written([])).get('1');
    const loaded = await writer.getRepository(AllTypes).findOneBy({ id: '1' });
    expectSame(hydrator.hydrate(without('secret', row?.as_row ?? '')), loaded);
    expect(loaded?.home.upperStreet()).toBe('MAIN STREET 1');
  });

  it('keep every digit', async () => {
    const hydrator = await hydratorOf(writer, AllTypes);
    const row = (await written([])).get('2');
    for (const text of [row?.as_row, row?.as_jsonb])
      expect(hydrator.hydrate(text ?? '')).toMatchObject({
        int8: '9007199254740993',
        numeric: '123456789012345678901234567890.0123456789',
        anyNumeric: '0.0000000000000000000000000000000000000001',
        int8s: ['9007199254740993', null],
        transformedTwice: [['9007199254740993']],
      });
  });
});
