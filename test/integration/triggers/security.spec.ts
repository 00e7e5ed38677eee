import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { afterEach, describe, expect, it } from 'vitest';
import { installContext } from '../../../lib/postgres/context-runner.js';
import { NotifyChanges } from '../../../lib/triggers/notify-changes.decorator.js';
import { Database, type WithPgPubSubOptions } from '../../../lib/triggers/database.js';
import { Mailbox } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';

interface Sent {
  readonly operation: string;
  readonly table: string;
  readonly new: Record<string, unknown> | null;
  readonly context?: object;
}

@Entity()
@NotifyChanges({ when: `NEW.name <> 'quiet'` })
class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') name!: string;
}

const database = useDatabase({ per: 'test' });

const start = (options: object = {}, triggers: WithPgPubSubOptions = {}): Promise<DataSource> =>
  database.connect({ dataSource: { entities: [Author], ...options }, ...triggers });

/** The notifications that any client receives on a channel. */
async function listen(channel: string): Promise<Mailbox<Sent>> {
  const client = await database.client();
  const sent = new Mailbox<Sent>();
  client.on('notification', ({ payload }) => sent.push(JSON.parse(payload ?? '') as Sent));
  await client.query(`listen ${client.escapeIdentifier(channel)}`);
  return sent;
}

/** Texts that would end a literal, a function body or a comment if they were used as SQL. */
const HOSTILE = [
  `'; drop table author; --`,
  String.raw`\'; drop table author; --`,
  String.raw`\\\ \u0000 \x00 \n`,
  `$$ $fn$ $pgpubsub$ $pgpubsub1$ $1 \${x} %s %I :name`,
  `" "" ' '' /* -- */ ; \n \t \u0001 \u2028 \u00e4 \u{1F600}`,
  `{"operation":"delete"},"new":null}`,
];

describe('a writer that may only write the table', () => {
  const role = `writer_${randomUUID().replaceAll('-', '')}`;
  afterEach(async () => {
    await database.query(`drop owned by ${role}; drop role ${role}`);
  });

  it('sends notifications', async () => {
    await start({ synchronize: true });
    await database.query(`create role ${role};
      revoke all on all functions in schema public from public;
      grant insert, update, delete on author to ${role}`);
    const sent = await listen('author');
    const client = await database.client();
    await client.query(`set role ${role}`);
    await client.query(`insert into author values (1, 'a')`);
    await client.query(`update author set name = 'b'`);
    await expect(client.query('select * from author')).rejects.toThrow('permission denied');
    await client.query('reset role');

    expect((await sent.take(2)).map((change) => [change.operation, change.new])).toEqual([
      ['insert', { id: 1, name: 'a' }],
      ['update', { id: 1, name: 'b' }],
    ]);
  });
});

describe('a session in which backslashes escape in every literal', () => {
  const off = { extra: { options: '-c standard_conforming_strings=off -c escape_string_warning=off' } };
  const channel = String.raw`it's a \ "channel"`;
  const table = String.raw`it's a \ table`;
  const column = String.raw`it's a \ column`;
  const triggers: WithPgPubSubOptions = {
    triggers: [{ table, channel, of: [column], when: `NEW."${column}" <> '' or NEW."${column}" = ''` }],
  };

  it.each(['row', 'statement'] as const)('runs migrations and writes correctly: %s', async (level) => {
    await database.query(
      `create table "${table}" (id serial primary key, "${column}" text, "a ""quoted"" one" text)`,
    );
    const leveled = { triggers: triggers.triggers?.map((trigger) => ({ ...trigger, level })) };
    const source = await start({ ...off, synchronize: true }, leveled as WithPgPubSubOptions);
    expect((await Database.of(source).diff()).differences).toEqual([]);
    const usual = await start({ migrationsTableName: 'migrations' }, leveled as WithPgPubSubOptions);
    expect((await Database.of(usual).diff()).differences).toEqual([]);

    const sent = await listen(channel);
    for (const text of HOSTILE)
      await source.query(`insert into "${table}" ("${column}", "a ""quoted"" one") values ($1, $1)`, [text]);
    const arrived = await sent.take(HOSTILE.length);
    expect(arrived.map((change) => change.new?.[column])).toEqual(HOSTILE);
    expect(arrived.map((change) => change.new?.['a "quoted" one'])).toEqual(HOSTILE);
    expect(arrived.every((change) => change.table === table)).toBe(true);
  });

  it('sends the context unchanged', async () => {
    let text = '';
    const source = await start({ ...off, synchronize: true });
    installContext(source, () => ({ [text]: text }));
    const sent = await listen('author');
    const wanted: object[] = [];
    for (const hostile of [...HOSTILE, '\0']) {
      text = hostile;
      await source.query('insert into author (name) values ($1)', ['parameter']);
      await source.query(`insert into author (name) values ('text')`);
      await source.transaction((manager) => manager.insert(Author, { name: 'transaction' }));
      for (let n = 0; n < 3; n++) wanted.push({ [hostile]: hostile });
    }
    expect((await sent.take(wanted.length)).map(({ context }) => context)).toEqual(wanted);
  });
});

describe('names and values that look like SQL', () => {
  it.each(['row', 'statement'] as const)('stay names and values: %s', async (level) => {
    const table = `"; drop table author; -- $$ $pgpubsub$`;
    const channel = `'); drop table author; -- $pgpubsub$ \u{1F600}`;
    const columns = [
      ...HOSTILE.slice(0, 2),
      String.raw`\\\ \u0000 \x00 \n`,
      '$$ $fn$ $pgpubsub$ $pgpubsub1$',
      `json"b`,
    ];
    const client = await database.client();
    const names = columns.map((column) => `${client.escapeIdentifier(column)} text`);
    await client.query(
      `create table ${client.escapeIdentifier(table)} (id int primary key, ${names.join()})`,
    );
    const trigger = { table, channel, of: columns, columns: ['id', ...columns], level };
    const source = await start({ synchronize: true }, { triggers: [trigger] });
    expect((await Database.of(source).diff()).differences).toEqual([]);

    const sent = await listen(channel);
    const values = columns.map((_, position) => `$${position + 2}`);
    const insert = `insert into ${client.escapeIdentifier(table)} values ($1, ${values.join()})`;
    for (const [id, text] of HOSTILE.entries()) await client.query(insert, [id, ...columns.map(() => text)]);
    expect((await sent.take(HOSTILE.length)).map((change) => change.new)).toEqual(
      HOSTILE.map((text, id) => ({ id, ...Object.fromEntries(columns.map((column) => [column, text])) })),
    );
    expect(await database.query('select * from author')).toEqual([]);
  });

  it('do not break a write when they are set as its context', async () => {
    const source = await start({ synchronize: true });
    const sent = await listen('author');
    const forged = ['}', '{"a":1},"new":null', '{"a":1', '"', "'", '{}; drop table author'];
    for (const context of forged)
      await source.transaction(async (manager) => {
        await manager.query(`select set_config('pgpubsub.context', $1, true)`, [context]);
        await manager.insert(Author, { name: context });
      });
    expect((await sent.take(forged.length)).map((change) => [change.new?.['name'], change.context])).toEqual(
      forged.map((context) => [context, undefined]),
    );
  });
});

describe('a search path with functions and operators of the same names', () => {
  const FUNCTIONS = {
    row_to_json: '(record) returns json',
    json_each: '(json) returns text',
    json_object_agg: '(text, json) returns json',
    pg_notify: '(text, text) returns void',
    current_setting: '(text, boolean) returns text',
    set_config: '(text, text, boolean) returns text',
    octet_length: '(text) returns int',
    replace: '(text, text, text) returns text',
    chr: '(int) returns text',
  };

  /** Creates functions and operators that raise an error, first in the search path. */
  async function spoil(client: pg.Client): Promise<void> {
    const body = `language plpgsql as $$ begin raise 'tricked'; end $$`;
    await client.query('create schema evil');
    for (const [name, signature] of Object.entries(FUNCTIONS))
      await client.query(`create function evil.${name}${signature} ${body}`);
    for (const [name, result] of [
      ['||', 'text'],
      ['=', 'boolean'],
      ['<>', 'boolean'],
    ] as const) {
      const made = `trick_${result}_${randomUUID().slice(0, 8)}`;
      await client.query(`create function evil.${made}(text, text) returns ${result} ${body}`);
      await client.query(
        `create operator evil.${name} (leftarg = text, rightarg = text, procedure = evil.${made})`,
      );
    }
    await client.query(`create domain evil.text as int; create domain evil.json as int`);
    await client.query('set search_path = evil, public, pg_catalog');
    await expect(client.query(`select 'a'::pg_catalog.text || 'b'::pg_catalog.text`)).rejects.toThrow(
      'tricked',
    );
  }

  it.each(['row', 'statement'] as const)('does not affect the trigger: %s', async (level) => {
    const more = { table: 'author', channel: 'names', columns: ['id', 'name'], of: ['name'], level };
    await start({ synchronize: true }, { triggers: [more] });
    const [all, names] = [await listen('author'), await listen('names')];
    const client = await database.client();
    await spoil(client);
    await client.query(`set pgpubsub.context = '{"tenant":"a"}'`);
    await client.query(`insert into author (name) values ('a'), ('quiet')`);
    await client.query(`update author set name = $1 where id operator(pg_catalog.=) 1`, ['x'.repeat(9_000)]);

    const [inserted, updated] = await all.take(2);
    expect(inserted).toMatchObject({ new: { id: 1, name: 'a' }, context: { tenant: 'a' } });
    expect(updated).toMatchObject({ new: { id: 1 }, truncated: true });
    expect((await names.take(3)).map((change) => change.new)).toEqual([
      { id: 1, name: 'a' },
      { id: 2, name: 'quiet' },
      { id: 1 },
    ]);
  });

  it('does not affect the statements that set the context', async () => {
    await start({ synchronize: true });
    await spoil(await database.client());
    const tricked = { extra: { options: '-c search_path=evil,public,pg_catalog' } };
    const source = await database.connectPlain({ entities: [Author], ...tricked });
    installContext(source, () => ({ tenant: 'a' }));
    const sent = await listen('author');
    await source.query(`insert into author (name) values ('text')`);
    await source.query(`insert into author (name) values ($1)`, ['parameter']);
    await source.transaction((manager) => manager.query(`insert into author (name) values ('transaction')`));
    for (const { context } of await sent.take(3)) expect(context).toEqual({ tenant: 'a' });
  });
});

describe('objects of another role with the names and comments of this library', () => {
  const COMMENT = 'pgpubsub:public.migrations';
  const role = `evil_${randomUUID().slice(0, 8)}`;

  /**
   * Creates all objects that a role with a schema of its own can make look like those of this
   * library; `{name}` is the name of one of its triggers.
   */
  async function imitate(name: string): Promise<void> {
    await database.query(`create role ${role}; create schema ${role} authorization ${role}`);
    await database.query(`set role ${role}; set search_path = ${role};
      create table called (by text);
      grant all on called to public; grant usage on schema ${role} to public;
      create function call() returns bigint language plpgsql as $$ begin insert into ${role}.called values (current_user); return 1; end $$;
      create view pgpubsub_notification as select call() as id, 'x'::text as channel;
      comment on view pgpubsub_notification is '${COMMENT}';
      create table pgpubsub_dead_letter (id bigint); insert into pgpubsub_dead_letter values (1);
      comment on table pgpubsub_dead_letter is '${COMMENT}';
      create function pgpubsub_schema_version() returns text language sql as 'select null::text';
      comment on function pgpubsub_schema_version() is '${COMMENT}';
      create function "${name}"() returns trigger language plpgsql as $$ begin perform ${role}.call(); return null; end $$;
      comment on function "${name}"() is '${COMMENT}';
      create function pgpubsub_other() returns trigger language plpgsql as $$ begin perform ${role}.call(); return null; end $$;
      comment on function pgpubsub_other() is '${COMMENT}';
      create table mine (id int);
      create trigger "${name}" after insert on mine for each row execute function "${name}"();
      comment on trigger "${name}" on mine is '${COMMENT}';
      create trigger other after insert on mine for each row execute function pgpubsub_other();
      comment on trigger other on mine is '${COMMENT}'`);
  }

  const called = () => database.query(`select * from ${role}.called`);
  const forget = async () => {
    await database.query(`drop owned by ${role} cascade`);
    await database.query(`drop role ${role}`);
  };

  it.each(['broadcast', 'exactly-once'] as const)(
    'appear in no migration, and are neither read nor dropped, with %s triggers',
    async (delivery) => {
      @Entity({ name: 'author' })
      @NotifyChanges({ delivery })
      class Watched {
        @PrimaryGeneratedColumn() id!: number;
        @Column('text') name!: string;
      }
      const first = await start({ entities: [Watched], synchronize: true });
      const [trigger] = await database.query<{ tgname: string }>(
        `select tgname from pg_trigger where tgname like 'pgpubsub%'`,
      );
      await imitate(String(trigger?.tgname));
      try {
        expect((await first.driver.createSchemaBuilder().log()).upQueries).toEqual([]);
        await first.synchronize();
        const other = await start({ entities: [], synchronize: true }); // drops triggers that are not declared any more
        const { differences } = await Database.of(other).diff();
        expect(differences).toEqual([]);
        expect(await called()).toEqual([]);
        expect(await database.query(`select relname from pg_class where relnamespace = '${role}'::regnamespace and relkind in ('r', 'v') order by 1`)).toHaveLength(4); // prettier-ignore
        expect(await database.query(`select proname from pg_proc where pronamespace = '${role}'::regnamespace`)).toHaveLength(4); // prettier-ignore
      } finally {
        await forget();
      }
    },
  );
});
