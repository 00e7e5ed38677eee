import {
  Column,
  DataSource,
  Entity,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  type EntitySchema,
  type MixedList,
} from 'typeorm';
import { describe, expect, it } from 'vitest';
import { NotifyChanges } from '../../../lib/triggers/notify-changes.decorator.js';
import { Database, type WithPgPubSubOptions } from '../../../lib/triggers/database.js';
import { listen } from '../../support/sent.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase({ per: 'test' });

type Entities = MixedList<(abstract new () => unknown) | EntitySchema>;

const start = (entities: Entities, options?: WithPgPubSubOptions, more: object = {}): Promise<DataSource> =>
  database.connect({ dataSource: { entities: entities as never, synchronize: true, ...more }, ...options });

describe.each(['row', 'statement'] as const)('triggers at level "%s"', (level) => {
  const levels = { level };

  it('never fail the write of a row that is too large, and send its key with `truncated`', async () => {
    @Entity()
    @NotifyChanges({ ...levels })
    class Author {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text') name!: string;
    }
    const source = await start([Author]);
    const sent = await listen(database, 'author');
    await source.query(`insert into author (name) select repeat('x', n) from unnest(array[10, 20000]) as n`);
    await source.query(`update author set name = repeat('ä', 5000)`);
    await source.transaction(async (manager) => {
      await manager.query(`select set_config('pgpubsub.context', $1, true)`, [
        JSON.stringify({ big: 'x'.repeat(9_000) }),
      ]);
      await manager.query(`delete from author where id = 2`);
    });
    await source.transaction(async (manager) => {
      await manager.query(`select set_config('pgpubsub.context', 'not json', true)`);
      await manager.query(`delete from author where id = 1`);
    });

    const place = { schema: 'public', table: 'author' };
    expect(await sent.end()).toEqual([
      { operation: 'insert', ...place, old: null, new: { id: 1, name: 'x'.repeat(10) } },
      { operation: 'insert', ...place, old: null, new: { id: 2 }, truncated: true },
      { operation: 'update', ...place, old: { id: 1 }, new: { id: 1 }, truncated: true },
      { operation: 'update', ...place, old: { id: 2 }, new: { id: 2 }, truncated: true },
      { operation: 'delete', ...place, old: null, new: null, truncated: true },
      { operation: 'delete', ...place, old: { id: 1 }, new: null, truncated: true },
    ]);
  });

  it('never fail the write of a row that is too large for JSON', async () => {
    @Entity()
    @NotifyChanges({ of: ['name'], ...levels })
    class Author {
      @PrimaryColumn({ name: `the 'Id` }) id!: number;
      @Column('text', { nullable: true }) name!: string;
      @Column('bytea', { nullable: true }) photo!: Buffer;
    }
    const source = await start([Author]);
    const sent = await listen(database, 'author');
    const huge = `convert_to(repeat('x', 540000000), 'UTF8')`; // 1.1 GB of JSON, stored as 6 MB
    await source.query(`insert into author values (1, 'large', ${huge}), (2, 'small', null)`);
    if (level === 'row') await source.query(`update author set name = name || '!'`); // takes seconds
    await source.query(`delete from author`);

    const one = { [`the 'Id`]: 1 };
    const two = { [`the 'Id`]: 2 };
    const rows = (await sent.end()).map(({ operation, old, new: row, truncated }) => [
      operation,
      old,
      row,
      truncated,
    ]);
    const each = [
      ['insert', null, one, true],
      ['insert', null, { ...two, name: 'small', photo: null }, undefined],
      ['update', one, one, true],
      ['update', { ...two, name: 'small', photo: null }, { ...two, name: 'small!', photo: null }, undefined],
      ['delete', one, null, true],
      ['delete', { ...two, name: 'small!', photo: null }, null, undefined],
    ];
    const perStatement = ['insert', 'delete'].map((operation) => [operation, null, null, true]);
    expect(rows).toEqual(level === 'row' ? each : perStatement);
  }, 120_000); // prettier-ignore // prettier-ignore

  it('accept names that need quoting, other schemas, and columns named like words of the function', async () => {
    @Entity({ name: `Weird täble`, schema: 'Other Schema' })
    @NotifyChanges({
      channel: `it's "odd"\\`.replaceAll('"', ''),
      on: ['insert', 'update', 'delete', 'truncate'],
      ...levels,
    })
    class Odd {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text') context!: string;
      @Column('text') message!: string;
      @Column('text', { name: 'key' }) old_row!: string;
      @Column('text', { name: 'Va lue' }) value!: string;
      @Column('text', { name: 'changed', select: false, default: 'hidden' }) changed!: string;
      @Column('text', { name: 'new', default: 'new' }) new!: string;
    }
    await database.query('create schema "Other Schema"');
    const source = await start([Odd]);
    const sent = await listen(database, `it's odd\\`);
    await source.getRepository(Odd).save({ context: 'c', message: 'm', old_row: 'k', value: 'v' });
    await source.getRepository(Odd).update({ id: 1 }, { message: 'n' });
    await source.getRepository(Odd).delete({ id: 1 });
    const row = { id: 1, context: 'c', message: 'm', key: 'k', 'Va lue': 'v', new: 'new' };
    const all = await sent.end();
    expect(all.map(({ old, new: now }) => [old, now])).toEqual([
      [null, row],
      [row, { ...row, message: 'n' }],
      [{ ...row, message: 'n' }, null],
    ]);
    expect(all[0]).toMatchObject({ schema: 'Other Schema', table: `Weird täble` });
    expect((await Database.of(source).diff()).differences).toEqual([]);
  });

  it('accept JSON with any escapes, with any excluded columns', async () => {
    class Login {
      @Column('text') name!: string;
      @Column('text', { select: false, default: 'secret' }) password!: string;
    }
    @Entity()
    @NotifyChanges({ of: ['data'], ...levels })
    @NotifyChanges({ channel: 'logins', columns: ['id', 'login'], ...levels })
    class Author {
      @PrimaryGeneratedColumn() id!: number;
      @Column('json') data!: unknown;
      @Column(() => Login) login!: Login;
    }
    const source = await start([Author]);
    const [sent, logins] = [await listen(database, 'author'), await listen(database, 'logins')];
    const data = String.raw`{"nul":"\u0000","half":"\ud800","text":"\\u0000","n":1.10}`;
    await source.query(`insert into author (data, "loginName") values ($1, 'a')`, [data]);
    await source.query(`update author set data = $1, "loginName" = 'b'`, [data]);
    await source.query(`update author set data = '"other"'`);

    const all = await sent.end();
    expect(all.map(({ operation, new: row }) => [operation, row?.['data']])).toEqual([
      ['insert', JSON.parse(data)],
      ['update', 'other'],
    ]);
    expect(all[0]?.new).not.toHaveProperty('loginPassword');
    const [login] = await logins.end();
    expect(login?.new).toEqual({ id: 1, loginName: 'a' });
  }); // prettier-ignore

  it('read tables with dropped columns', async () => {
    @Entity()
    @NotifyChanges({ of: ['name'], when: `coalesce(NEW.name, OLD.name) <> 'z'`, ...levels })
    @NotifyChanges({ channel: 'all', ...levels })
    class Author {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text') gone!: string;
      @Column('text') name!: string;
    }
    const source = await start([Author]);
    await source.query(`alter table author drop column gone`);
    const [named, all] = [await listen(database, 'author'), await listen(database, 'all')];
    await source.query(`insert into author (name) values ('a')`);
    await source.query(`update author set name = 'b'`);
    await source.query(`delete from author`);
    const [a, b] = [{ id: 1, name: 'a' }, { id: 1, name: 'b' }]; // prettier-ignore
    const expected = [[null, a], [a, b], [b, null]]; // prettier-ignore
    expect((await named.end()).map(({ old, new: row }) => [old, row])).toEqual(expected);
    expect((await all.end()).map(({ old, new: row }) => [old, row])).toEqual(expected);
  });
});
