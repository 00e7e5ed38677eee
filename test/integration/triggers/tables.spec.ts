import { Column, DataSource, Entity, JoinTable, ManyToMany, PrimaryColumn } from 'typeorm';
import { beforeEach, describe, expect, it } from 'vitest';
import { withPgPubSub, type EntityChange, type TriggerDeclaration } from 'nestjs-pgpubsub';
import type { TestApp } from '../../support/app.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { NOTHING, errorOf, generate } from '../../support/migrations.js';
import { useDatabase } from '../../support/use-database.js';
import { createNotifyTrigger } from '../../../lib/triggers/migration-helpers.js';

const database = useDatabase({ per: 'test' });

@Entity()
class Tag {
  @PrimaryColumn('numeric') code!: string;
}

@Entity()
class Post {
  @PrimaryColumn('bigint') id!: string;
  @Column('text', { default: '' }) title!: string;
  @ManyToMany(() => Tag)
  @JoinTable({ name: 'post_tags', joinColumn: { name: 'post_id' }, inverseJoinColumn: { name: 'tag_code' } })
  tags!: Tag[];
}

/** An application with both entities, and a trigger for a table. */
const start = (...triggers: TriggerDeclaration[]): Promise<TestApp> =>
  database.start({
    dataSource: { entities: [Post, Tag], synchronize: true },
    patch: (dataSource) => withPgPubSub(dataSource, { triggers }),
  });

/** The changes that `act` causes, as observers of the channel receive them. */
async function changesBy(
  app: TestApp,
  channel: string,
  act: () => Promise<unknown>,
): Promise<EntityChange[]> {
  const received = new Mailbox<EntityChange | string>();
  app.pubsub.observe<EntityChange>(channel).subscribe(({ payload }) => received.push(payload));
  app.pubsub.observe<string>('marks').subscribe(({ payload }) => received.push(payload));
  const areHeard = async () => {
    await app.pubsub.notify('marks', 'begin');
    return received.all.includes('begin');
  };
  await eventually(areHeard, 'both channels are listened to');
  await act();
  await app.pubsub.notify('marks', 'end');
  await received.find((payload) => payload === 'end');
  return received.all.filter((payload) => typeof payload !== 'string');
}

describe('a join table', () => {
  it('sends plain objects with the values of a repository', async () => {
    await using app = await start({ table: 'post_tags' });
    const posts = app.dataSource.getRepository(Post);
    const tag = await app.dataSource.getRepository(Tag).save({ code: '1.10' });
    const sent = await changesBy(app, 'post_tags', async () => {
      await posts.save({ id: '9007199254740993', tags: [tag] });
      await posts.save({ id: '9007199254740993', tags: [] });
    });
    const row = { post_id: '9007199254740993', tag_code: '1.10' };
    expect(sent.map(({ old, new: now }) => [old, now])).toStrictEqual([
      [null, row],
      [row, null],
    ]);
  });

  it.each(['columns', 'of'])(
    'rejects an unknown column in "%s" before anything is created',
    async (option) => {
      const options = { type: 'postgres' as const, url: database.url, entities: [Post, Tag] };
      const triggers = [{ table: 'post_tags', [option]: ['post_id', 'tag'] }];
      const source = await withPgPubSub(new DataSource(options), { triggers }).initialize();
      const refused = /^INVALID_TRIGGER: .*post_tags.*\(post_id, tag_code\), got "tag"/;
      expect(await errorOf(() => generate(source))).toMatch(refused);
      expect(await errorOf(() => source.synchronize())).toMatch(refused);
      await source.destroy();
    },
  );
});

describe('a table that TypeORM does not know', () => {
  it('sends plain objects, and loses no digits', async () => {
    await database.query('create table log (id bigint, price numeric, amounts numeric[], data json)');
    await using app = await start({ table: 'log' });
    const sent = await changesBy(app, 'log', () =>
      database.query(
        `insert into log values (9007199254740993, 12345678901234567.10, '{1.5,0.12345678901234567891}', '{"n":1e400}'), (1, 1.10, null, '"9007199254740993"')`,
      ),
    );
    expect(sent.map((change) => change.new)).toStrictEqual([
      { id: '9007199254740993', price: '12345678901234567.10', amounts: [1.5, '0.12345678901234567891'], data: { n: '1e400' } },
      { id: 1, price: 1.1, amounts: null, data: '9007199254740993' },
    ]);
  }); // prettier-ignore

  it.each(['columns', 'of', 'primaryKey'])(
    'rejects an unknown column in "%s" when the table exists',
    async (option) => {
      const triggers = [{ table: 'log', schema: 'legacy', [option]: ['id', 'lines'] }];
      const options = { type: 'postgres', url: database.url } as const;
      const source = await withPgPubSub(new DataSource(options), { triggers }).initialize();
      expect((await generate(source)).up.length).toBeGreaterThan(0);

      await database.query('create schema legacy; create table legacy.log (id int primary key, line text)');
      const refused =
        'INVALID_TRIGGER: the table "log": expected columns of "log" (id, line), got "lines". ' +
        'Use the exact names of the database.';
      expect(await errorOf(() => generate(source))).toBe(refused);
      expect(await errorOf(() => source.synchronize())).toBe(refused);
      await source.destroy();
    },
  );
});

describe('a partitioned table', () => {
  beforeEach(() =>
    database.query(`create table event (id int, kind text) partition by list (kind);
      create table event_a partition of event for values in ('a')`),
  );

  const open = (triggers: TriggerDeclaration[]) =>
    withPgPubSub(new DataSource({ type: 'postgres', url: database.url }), { triggers }).initialize();

  it('notifies each change once, whether it is written to the table or to a partition', async () => {
    await using app = await start({ table: 'event' });
    const sent = await changesBy(app, 'event', () =>
      database.query(`insert into event values (1, 'a'); insert into event_a values (2, 'a'); delete from event where id = 1`),
    );
    expect(sent.map(({ operation, table, entity }) => [operation, table, entity?.['id']])).toEqual([
      ['insert', 'event', 1], ['insert', 'event', 2], ['delete', 'event', 1],
    ]);
    expect(await generate(app.dataSource)).toEqual(NOTHING);
  }); // prettier-ignore

  it.each([
    ['event', 'is partitioned: what is written to a partition directly'],
    ['event_a', 'is a partition: what is written through the partitioned table'],
  ])('rejects a trigger per statement (on "%s"), which would miss changes', async (table, reason) => {
    const sentence = (what: string) =>
      `INVALID_TRIGGER: ${what}: expected level "row", got "statement" for the table "${table}", which ${reason} would be missed. Leave "level" out.`;
    const source = await open([{ table, level: 'statement' }]);
    expect(await errorOf(() => generate(source))).toBe(sentence(`the table "${table}"`));
    expect(await errorOf(() => source.synchronize())).toBe(sentence(`the table "${table}"`));
    const runner = source.createQueryRunner();
    const byHand = () => createNotifyTrigger(runner, { table, level: 'statement' });
    expect(await errorOf(byHand)).toBe(sentence('createNotifyTrigger()'));
    await runner.release();
    await source.destroy();
    expect(await database.query(`select from pg_proc where proname like 'pgpubsub%'`)).toEqual([]);
  }); // prettier-ignore

  it('accepts a trigger per statement for TRUNCATE only', async () => {
    const source = await open([{ table: 'event', level: 'statement', on: 'truncate' }]);
    expect((await generate(source)).up.length).toBeGreaterThan(0);
    await source.destroy();
  });
});
