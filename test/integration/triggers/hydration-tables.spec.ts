import {
  AfterLoad,
  ChildEntity,
  Column,
  Entity,
  JoinTable,
  ManyToMany,
  PrimaryColumn,
  TableInheritance,
  VirtualColumn,
} from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RowHydrators, type RowHydrator } from '../../../lib/triggers/row.hydrator.js';
import { Owner } from '../../support/all-types.entity.js';
import type { TestDatabase } from '../../support/database.js';
import {
  createRecordingDatabase,
  expectSame,
  hydratorOf,
  open,
  record,
  rowOf,
  rowsOf,
  type Recorded,
} from '../../support/recorded-rows.js';

describe('rows of single table inheritance', () => {
  @Entity()
  @TableInheritance({ column: { name: 'kind', type: 'int' } })
  class Content {
    @PrimaryColumn() id!: number;
    @Column() title!: string;
  }
  @ChildEntity(1)
  class Photo extends Content {
    @Column({ type: 'bigint', nullable: true }) size!: string | null;
  }
  @ChildEntity(2)
  class Portrait extends Photo {
    @Column({ nullable: true }) person!: string;
  }
  @ChildEntity(3)
  class Question extends Content {
    @Column({ name: 'asked_at', nullable: true }) askedAt!: Date;
  }

  it('become the class of their row', async () => {
    await using database = await createRecordingDatabase();
    const entities = [Content, Photo, Portrait, Question];
    await using dataSource = await open(database, { entities, synchronize: true });
    await dataSource.query(record('content'));
    const hydrators = await RowHydrators.load(dataSource);
    const hydrator = hydrators.find('public', 'content');
    expect(hydrators.findFor(Portrait)).toBe(hydrator);

    const rows = await rowsOf(
      dataSource,
      `insert into content (id, title, kind, size, person, asked_at) values
        (1, 'a', 1, 9007199254740993, null, null), (2, 'b', 2, null, 'Ada', null), (3, 'c', 3, null, null, now()),
        (4, 'd', 9, 5, 'unknown kind', null)`,
    );
    for (const [index, row] of rows.entries()) {
      const loaded = await dataSource.manager.findOneBy(Content, { id: index + 1 });
      expectSame(hydrator?.hydrate(row.as_row) ?? {}, loaded);
      expectSame(hydrator?.hydrate(row.as_jsonb) ?? {}, loaded);
      expect(loaded).toBeInstanceOf([Photo, Portrait, Question, Content][index]);
    }
  });
});

describe('a table', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createRecordingDatabase();
  });
  afterAll(() => database[Symbol.asyncDispose]());

  @Entity({ name: 'person' })
  class Person {
    @PrimaryColumn('int') id!: number;
    @Column('text') name!: string;
  }
  @Entity({ name: 'person' })
  class PersonWithAge {
    @PrimaryColumn('int') id!: number;
    @Column('text') name!: string;
    @Column('int') age!: number;
  }

  it('can have gained and lost columns since a row was written', async () => {
    await using dataSource = await open(database, { entities: [PersonWithAge], entitySkipConstructor: true });
    await dataSource.query(`create table person (id int, name text, age int); ${record('person')}`);
    const hydrator = await hydratorOf(dataSource, PersonWithAge);
    const before = await rowOf(dataSource, `insert into person values (1, 'Ada', 36)`);
    await dataSource.query('alter table person drop column age, add column born date');
    const after = await rowOf(dataSource, `update person set born = '1815-12-10'`);
    const reloaded = await hydratorOf(dataSource, PersonWithAge);
    await dataSource.query('drop table person');

    const entries = (from: RowHydrator, row: Recorded) => Object.entries(from.hydrate(row.as_row));
    const known = [
      ['id', 1],
      ['name', 'Ada'],
    ];
    expect(entries(hydrator, before)).toEqual([...known, ['age', 36]]);
    expect(entries(hydrator, after)).toEqual(known);
    expect(entries(reloaded, before)).toEqual(known);
    expect(entries(reloaded, after)).toEqual(known);
  });

  it('has no hydrator while it does not exist, or when no entity is mapped to it', async () => {
    await using dataSource = await open(database, { entities: [Person] });
    const hydrators = await RowHydrators.load(dataSource);
    expect(hydrators.find('public', 'person')).toBeUndefined();
    expect(hydrators.findFor(Person)).toBeUndefined();
    expect(hydrators.find('public', 'recorded')).toBeUndefined();
    expect(hydrators.findFor(PersonWithAge)).toBeUndefined();
  });

  it('can have several entities', async () => {
    await using dataSource = await open(database, { entities: [Person, PersonWithAge] });
    await dataSource.query(`create table person (id int, name text, age int); ${record('person')}`);
    const hydrators = await RowHydrators.load(dataSource);
    const { as_row } = await rowOf(dataSource, `insert into person values (1, 'Ada', 36)`);
    for (const target of [Person, PersonWithAge])
      expectSame(
        hydrators.findFor(target)?.hydrate(as_row) ?? {},
        await dataSource.manager.findOneBy<Person>(target, { id: 1 }),
      );
    expect(hydrators.find('public', 'person')).toBe(hydrators.findFor(Person));
    await dataSource.query('drop table person');
  });

  it('is found by its name in the database', async () => {
    @Entity({ schema: 'Odd. Schema', name: 'Odd Table' })
    class Odd {
      @PrimaryColumn('int') id!: number;
    }
    @Entity({ name: 'far' })
    class Far {
      @PrimaryColumn('int') id!: number;
    }
    await database.query(`create schema "Odd. Schema"; create table "Odd. Schema"."Odd Table" (id int);
      create schema near; create schema hidden; create table near.far (id int); create table hidden.far (id text)`);
    await using dataSource = await open(database, {
      entities: [Odd, Far],
      extra: { options: '-c search_path=near,hidden' },
    });
    const hydrators = await RowHydrators.load(dataSource);
    expect(hydrators.find('Odd. Schema', 'Odd Table')).toBe(hydrators.findFor(Odd));
    expect(hydrators.find('near', 'far')).toBe(hydrators.findFor(Far));
    expect(hydrators.find('near', 'far')?.hydrate('{"id":1}')).toEqual({ id: 1 });
    expect(hydrators.find('hidden', 'far')).toBeUndefined();
    await using other = await open(database, { entities: [Far], schema: 'hidden' });
    expect((await RowHydrators.load(other)).find('hidden', 'far')?.hydrate('{"id":"a"}')).toEqual({
      id: 'a',
    });
  });

  it('can have columns of domains', async () => {
    @Entity({ name: 'measure' })
    class Measure {
      @PrimaryColumn('bigint') id!: string;
      @Column('timestamptz', { array: true }) at!: Date[];
      @Column('text', { array: true }) names!: string;
    }
    await using dataSource = await open(database, { entities: [Measure] });
    await dataSource.query(`
      create domain big as bigint; create domain bigger as big; create domain moments as timestamptz[];
      create domain label as citext; create table measure (id bigger, at moments, names label[]);
      ${record('measure')}`);
    const row = await rowOf(
      dataSource,
      `insert into measure values (9007199254740993, '{2024-01-02 03:04:05+02}', '{"A, b",NULL}')`,
    );
    const loaded = await dataSource.manager.findOneBy(Measure, { id: '9007199254740993' });
    expectSame((await hydratorOf(dataSource, Measure)).hydrate(row.as_row), loaded);
    expect(loaded).toMatchObject({ at: [new Date('2024-01-02T01:04:05Z')], names: '{"A, b",NULL}' });
  });

  it('can have columns of composite types, which stay JSON', async () => {
    @Entity({ name: 'parcel' })
    class Parcel {
      @PrimaryColumn('int') id!: number;
      @Column('text') size!: string;
      @Column('text', { array: true }) parts!: string;
    }
    await using dataSource = await open(database, { entities: [Parcel] });
    await dataSource.query(`create type extent as (width int, label text);
      create table parcel (id int, size extent, parts extent[]); ${record('parcel')}`);
    const { as_row } = await rowOf(
      dataSource,
      `insert into parcel values (1, (2, 'a "b"'), array[(3, 'c')::extent])`,
    );
    expect((await hydratorOf(dataSource, Parcel)).hydrate(as_row)).toEqual({
      id: 1,
      size: String.raw`{"width":2,"label":"a \"b\""}`,
      parts: String.raw`{"{\"width\":3,\"label\":\"c\"}"}`,
    });
  });

  it('can have a column with the name of a virtual column of its entity', async () => {
    @Entity({ name: 'line' })
    class Line {
      @PrimaryColumn('int') id!: number;
      @VirtualColumn({ query: () => 'select 2' }) length!: number;
    }
    await using dataSource = await open(database, { entities: [Line], entitySkipConstructor: true });
    await dataSource.query(`create table line (id int, length int); ${record('line')}`);
    const { as_row } = await rowOf(dataSource, 'insert into line values (1, 1)');
    expect(Object.entries((await hydratorOf(dataSource, Line)).hydrate(as_row))).toEqual([['id', 1]]);
  });

  it('can join two other tables', async () => {
    @Entity()
    class Tag {
      @PrimaryColumn('int') id!: number;
    }
    @Entity()
    class Note {
      @PrimaryColumn('bigint') id!: string;
      @ManyToMany(() => Tag) @JoinTable() tags!: Tag[];
    }
    await using dataSource = await open(database, { entities: [Tag, Note], synchronize: true });
    await dataSource.query(record('note_tags_tag'));
    await dataSource.query('insert into tag values (1); insert into note values (2)');
    const row = await rowOf(dataSource, 'insert into note_tags_tag values (2, 1)');
    const hydrators = await RowHydrators.load(dataSource);
    expect(hydrators.find('public', 'note_tags_tag')?.hydrate(row.as_row)).toEqual({ noteId: '2', tagId: 1 });
  });

  it('can have virtual generated columns, which triggers do not see', async () => {
    @Entity({ name: 'square' })
    class Square {
      @PrimaryColumn('int') side!: number;
      @Column('int') area!: number;
    }
    await using dataSource = await open(database, { entities: [Square], entitySkipConstructor: true });
    const [version] = await dataSource.query<{ server_version_num: string }[]>('show server_version_num');
    if (Number(version?.server_version_num) < 180_000) return;
    await dataSource.query(
      `create table square (side int, area int generated always as (side * side) virtual); ${record('square')}`,
    );
    const { as_row } = await rowOf(dataSource, 'insert into square values (3)');
    expect((await hydratorOf(dataSource, Square)).hydrate(as_row)).toStrictEqual(
      Object.assign(Object.create(Square.prototype) as Square, { side: 3 }),
    );
  });
});

it('runLoadListeners() runs the listeners and subscribers that a repository runs after loading', async () => {
  @Entity()
  class Greeting {
    @PrimaryColumn() name!: string;
    text?: string;
    length?: number;

    @AfterLoad()
    async compute(): Promise<void> {
      await Promise.resolve();
      this.text = `Hello ${this.name}`;
    }
  }
  await using database = await createRecordingDatabase();
  await using dataSource = await open(database, { entities: [Greeting, Owner], synchronize: true });
  const hydrators = await RowHydrators.load(dataSource);
  expect(hydrators.findFor(Owner)?.hasLoadListeners).toBe(false);
  const subscriber = { afterLoad: (entity: Greeting) => void (entity.length = entity.name.length) };
  dataSource.subscribers.push(subscriber);
  await dataSource.query(record('greeting'));
  const { as_row } = await rowOf(dataSource, `insert into greeting values ('Ada')`);
  const hydrator = await hydratorOf(dataSource, Greeting);
  const greeting = hydrator.hydrate(as_row);
  expect(hydrator.hasLoadListeners).toBe(true);
  expect(greeting).toEqual({ name: 'Ada' });

  await hydrator.runLoadListeners(greeting);
  expectSame(greeting, await dataSource.manager.findOneBy(Greeting, { name: 'Ada' }));
  expect(greeting).toMatchObject({ text: 'Hello Ada', length: 3 });
});
