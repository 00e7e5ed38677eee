import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import {
  Author,
  Invoice,
  Moves,
  Orders,
  SOON_MS,
  Scene,
  attempt,
  nameIn,
} from '../../support/hostile-roles.js';
import { overload } from '../../support/hostile-overloads.js';
import { eventually } from '../../support/mailbox.js';

/**
 * Objects of other roles than the application's: none of them appears in a migration or is called
 * by the application, and nothing is stored for them.
 */

/** Creates the table in which functions of the hostile role record each call with its role. */
const CREATE_CALLED = (role: string) => `
  create table ${role}.called (name text, by text, query text default current_query());
  grant usage on schema ${role} to public; grant all on ${role}.called to public`;

const calledIn = (scene: Scene) =>
  scene.administer(
    `select name, by, min(left(query, 200)) as query from ${scene.role}.called group by 1, 2 order by 1`,
  );

/** The statements that create all objects of the library in another schema. */
async function ownStatements(schema: string): Promise<string[]> {
  await using scene = await Scene.prepare();
  await scene.administer(`create schema if not exists ${schema} authorization ${scene.application}`);
  const statements = await scene.generate(undefined, { schema });
  return statements.filter((sql) => /pgpubsub/i.test(sql) && !/^drop/i.test(sql));
}

/** Makes each table of a schema record its writes. */
const tellWrites = (schema: string, role: string) => `
  do $do$ declare t regclass; begin
    for t in select oid from pg_class where relnamespace = '${schema}'::regnamespace and relkind = 'r' and relowner = '${role}'::regrole and relname <> 'called' loop
      execute format('create trigger a_tell before insert or update or delete on %s for each row execute function ${role}.tell()', t);
    end loop;
  end $do$`;

const CREATE_TELL = (role: string) => `
  create function ${role}.tell() returns trigger language plpgsql as $$
    begin insert into ${role}.called (name, by) values (tg_table_name, current_user); return coalesce(new, old); end $$`;

describe('a role that owns a schema', () => {
  const kind = 'owns a schema of its own';

  it('creates no object that appears in a migration or is called, with copies of all objects of the library', async () => {
    await using scene = await Scene.start(kind);
    const { role } = scene;
    const hostile = await scene.hostile();
    await hostile.query(`set search_path = ${role}; ${CREATE_CALLED(role)}; ${CREATE_TELL(role)};
      create table author (id serial primary key, name text); create table invoice (like author including all);
      create table secret (like author including all); create table migrations (id serial primary key, timestamp bigint, name text)`);
    const statements = (await ownStatements(role)).map((sql) => sql.replaceAll('"public"."', `"${role}"."`));
    let made = 0;
    for (const sql of statements) if (!(await attempt(hostile, sql))) made++;
    expect(made).toBeGreaterThan(10);
    await hostile.query(tellWrites(role, role));
    expect(await scene.generate()).toEqual([]);
    expect(await scene.generate([Author])).toEqual(
      expect.not.arrayContaining([expect.stringContaining(role)]),
    );
    await (await scene.connect()).synchronize();
    await scene.expectToWork();
    expect(await calledIn(scene)).toEqual([]);
  });

  it('stores nothing through trigger functions of the application on its own tables', async () => {
    await using scene = await Scene.start(kind);
    const { role } = scene;
    const hostile = await scene.hostile();
    await hostile.query(`set search_path = ${role}; create table invoice (id int, name text)`);
    const { rows } = await hostile.query<{ name: string }>(`
      select oid::regproc::text as name from pg_proc
      where pronamespace = 'public'::regnamespace and prorettype = 'trigger'::regtype`);
    const lists = ['', `'orders'`, `'invoice', 'public', 'invoice', 'id'`, `'moves', 'public', 'invoice', 'id', 'ordered'`]; // prettier-ignore
    for (const [index, { name }] of rows.entries())
      for (const [nth, list] of lists.entries())
        for (const level of ['row', 'statement']) {
          const trigger = `trigger_${index}_${nth}_${level}`;
          const tables = level === 'row' ? '' : 'referencing new table as new_rows';
          await attempt(hostile, `create trigger ${trigger} after insert on invoice ${tables} for each ${level} execute function ${name}(${list})`); // prettier-ignore
          await attempt(hostile, `insert into invoice values (1, 'foreign')`);
          await attempt(hostile, `drop trigger ${trigger} on invoice`);
        }
    expect(rows.length).toBeGreaterThan(0);
    await scene.app.pubsub.recover();
    await scene.expectToWork();
    expect(scene.foreignCalls.filter(({ listener }) => listener !== 'author')).toEqual([]);
  });

  it('is not called by an application whose search path contains its schema last', async () => {
    await using scene = await Scene.prepare();
    const { application, role } = scene;
    await scene.administer(`create schema ${role} authorization ${role};
      alter role ${application} set search_path = public, ${role}`);
    await (await scene.hostile()).query(CREATE_CALLED(role));
    await expectNoCall(scene, role);
  });
});

describe('a role that may create objects in the schema of the application, as every role could before PostgreSQL 15', () => {
  const prepare = async (): Promise<Scene> => {
    const scene = await Scene.prepare();
    await scene.administer(`grant all on schema public to ${scene.role};
      create schema ${scene.role} authorization ${scene.role}`);
    await (await scene.hostile()).query(CREATE_CALLED(scene.role));
    return scene;
  };

  it('has no function that the application calls', async () => {
    await using scene = await prepare();
    await expectNoCall(scene, 'public');
  });

  it('cannot replace the function that completes notifications by one with fewer arguments', async () => {
    await using scene = await prepare();
    await scene.startApplication();
    await (
      await scene.hostile()
    ).query(`create function public.pgpubsub_complete(ids bigint[]) returns void language plpgsql as $$
      begin insert into ${scene.role}.called (name, by) values ('pgpubsub_complete', current_user); end $$`);
    await scene.expectToWork();
    await eventually(
      async () => (await scene.app.pubsub.stored.count({})) === 0,
      'all is completed',
      SOON_MS,
    );
    expect(await calledIn(scene)).toEqual([]);
  });

  it('cannot make the application store in tables that it created first', async () => {
    await using scene = await prepare();
    const { role } = scene;
    const hostile = await scene.hostile();
    for (const sql of await ownStatements('public')) await attempt(hostile, sql);
    await hostile.query(`${CREATE_TELL(role)}; ${tellWrites('public', role)};
      grant all on all tables in schema public to public`);
    const refused = await useAll(scene).then(() => undefined, String);
    expect(await calledIn(scene)).toEqual([]);
    expect(refused).toMatch(/SCHEMA_DRIFTED|PgPubSubError|must be owner/);
  });

  it('is not taken for the owner when it creates a table of migrations and the application is a member of it', async () => {
    await using scene = await prepare();
    const hostile = await scene.hostile();
    await attempt(hostile, `grant ${scene.role} to ${scene.application}`);
    await expectNothingOf(scene, hostile);
  });

  it('is not taken for the owner by an application that is a superuser', async () => {
    await using scene = await prepare();
    await scene.administer(`alter role ${scene.application} superuser`);
    await expectNothingOf(scene, await scene.hostile());
  });

  async function expectNothingOf(scene: Scene, hostile: pg.Client): Promise<void> {
    const { role } = scene;
    await hostile.query(`create table public.migrations (id serial primary key, timestamp bigint, name text);
      set search_path = ${role}; ${CREATE_TELL(role)};
      create table author (id serial primary key, name text); create table invoice (like author including all)`);
    const statements = (await ownStatements(role)).map((sql) => sql.replaceAll('"public"."', `"${role}"."`));
    for (const sql of statements) await attempt(hostile, sql);
    await hostile.query(tellWrites(role, role));
    expect((await scene.generate()).filter((sql) => sql.includes(role))).toEqual([]);
    await useAll(scene);
    expect(await calledIn(scene)).toEqual([]);
  }
});

/**
 * Uses all features of the library while functions and operators in this schema fit better than
 * those of pg_catalog.
 */
async function expectNoCall(scene: Scene, schema: string): Promise<void> {
  await (await scene.connectPlain()).synchronize();
  await overload(await scene.hostile(), schema, scene.role);
  const others = await calledByTypeOrm(scene);
  await useAll(scene);
  expect((await calledIn(scene)).filter(({ name }) => !others.includes(name))).toEqual([]);
}

/**
 * The functions that TypeORM calls without the library: with such a search path a database is not
 * safe anyway.
 */
async function calledByTypeOrm(scene: Scene): Promise<unknown[]> {
  const source = await scene.connectPlain();
  await source.synchronize();
  await source.driver.createSchemaBuilder().log();
  await source.manager.save(Author, { name: 'first' });
  await source.manager.find(Author);
  const called = await calledIn(scene);
  await scene.administer(`truncate ${scene.role}.called`);
  return called.map(({ name }) => name as unknown);
}

/**
 * Runs all that the library does by itself: the start, sending, claims, retries, reports and
 * migrations.
 */
async function useAll(scene: Scene): Promise<void> {
  await scene.startApplication({ concurrency: 2 });
  const { pubsub } = scene.app;
  const failed = new Set<unknown>();
  scene.onCall = ({ payload }) => {
    const name = nameIn(payload);
    if (name === 'dead') throw new Error('dead');
    if (name !== 'fails once' || failed.has(name)) return;
    failed.add(name);
    throw new Error('once');
  };
  for (const name of ['dead', 'fails once']) await pubsub.notify(Moves, { name }, { key: name });
  await pubsub.notify(Orders, { name: 'later' }, { delayMs: 20 });
  await scene.arrives('later', 'orders');
  await scene.expectToWork();
  await pubsub.recover();
  await pubsub.status();
  for await (const _row of pubsub.stored.pending({}));
  for await (const _letter of pubsub.stored.deadLetters({}));
  await pubsub.stored.retry({});
  await pubsub.recover();
  await pubsub.stored.discard({});
  await pubsub.stored.purge({});
  await scene.generate([Author, Invoice]);
  await scene.expectToWork();
}
