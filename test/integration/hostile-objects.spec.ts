import type pg from 'pg';
import { describe, expect, it } from 'vitest';
import { Author, Invoice, Moves, Orders, Scene, attempt, nameIn } from '../support/hostile-roles.js';

/**
 * Objects that roles other than the application's create: nothing of them appears in a migration or is called by the
 * application, and nothing is stored for them.
 */

/** Where functions of the hostile role write that they were called, and as which role. */
const CREATE_CALLED = (role: string) => `
  create table ${role}.called (name text, by text, query text default current_query());
  grant usage on schema ${role} to public; grant all on ${role}.called to public`;

const calledIn = (scene: Scene) =>
  scene.administer(
    `select name, by, min(left(query, 200)) as query from ${scene.role}.called group by 1, 2 order by 1`,
  );

/** The statements with which the library creates all of its objects, in another schema. */
async function ownStatements(schema: string): Promise<string[]> {
  await using scene = await Scene.prepare();
  await scene.administer(`create schema if not exists ${schema} authorization ${scene.application}`);
  const statements = await scene.generate(undefined, { schema });
  return statements.filter((sql) => /pgpubsub/i.test(sql) && !/^drop/i.test(sql));
}

/** Has each table of a schema tell when it is written. */
const tellWrites = (schema: string, role: string) => `
  do $do$ declare t regclass; begin
    for t in select oid from pg_class where relnamespace = '${schema}'::regnamespace and relkind = 'r' and relowner = '${role}'::regrole and relname <> 'called' loop
      execute format('create trigger a_tell before insert or update or delete on %s for each row execute function ${role}.tell()', t);
    end loop;
  end $do$`;

const CREATE_TELL = (role: string) => `
  create function ${role}.tell() returns trigger language plpgsql as $$
    begin insert into ${role}.called (name, by) values (tg_table_name, current_user); return coalesce(new, old); end $$`;

describe('a role that owns a schema of its own', () => {
  const kind = 'owns a schema of its own';

  it('makes nothing that appears in a migration or is called, with all objects as the library creates them', async () => {
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

  it('stores nothing by functions of triggers that it attaches to tables of its own', async () => {
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

  // Statements of the library call functions whose types do not fit exactly by their names alone.
  it.fails(
    'is not called by an application that has its schema in the search path, behind its own',
    async () => {
      await using scene = await Scene.prepare();
      const { application, role } = scene;
      await scene.administer(`create schema ${role} authorization ${role};
      alter role ${application} set search_path = public, ${role}`);
      const hostile = await scene.hostile();
      await hostile.query(CREATE_CALLED(role));
      await overload(hostile, role, role);
      const others = await calledByTypeOrm(scene);
      await useAll(scene);
      expect((await calledIn(scene)).filter(({ name }) => !others.includes(name))).toEqual([]);
    },
  );
});

describe('a role that may create objects in the schema of the application, as every role could before PostgreSQL 15', () => {
  const prepare = async (): Promise<Scene> => {
    const scene = await Scene.prepare();
    await scene.administer(`grant all on schema public to ${scene.role};
      create schema ${scene.role} authorization ${scene.role}`);
    await (await scene.hostile()).query(CREATE_CALLED(scene.role));
    return scene;
  };

  // As above.
  it.fails('has no function that the application calls by accident', async () => {
    await using scene = await prepare();
    await overload(await scene.hostile(), 'public', scene.role);
    const others = await calledByTypeOrm(scene);
    await useAll(scene);
    expect((await calledIn(scene)).filter(({ name }) => !others.includes(name))).toEqual([]);
  });

  it('has no table in which the application stores, when it comes first', async () => {
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

  it('is not taken for the owner, with a table of migrations and membership in its role', async () => {
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

/** The functions that TypeORM calls without the library: a database with such a search path is lost anyway. */
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

/** Runs all that the library does by itself: the start, sending, claims, retries, reports and migrations. */
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

/**
 * Creates functions and operators in a schema that the server prefers to those of pg_catalog, because their types fit
 * better: a search path that contains the schema is enough, even behind pg_catalog. Each says that it was called.
 */
async function overload(client: pg.Client, schema: string, role: string): Promise<void> {
  await client.query(`set search_path = pg_catalog; do $do$
    declare
      f record; variant text; types text[]; position int; created int := 0;
      concrete constant text[] := array['json', 'jsonb', 'text', 'text[]', 'bigint', 'bigint[]', 'integer', 'xid', 'name', 'timestamp with time zone', 'regclass', 'double precision', 'numeric'];
    begin
      for f in
        select p.proname, format_type(p.prorettype, null) as result, p.proretset,
          array(select format_type(t, null) from unnest(p.proargtypes::oid[]) with ordinality as a(t, n) order by n) as args
        from pg_proc p
        where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and p.pronargs between 1 and 3 and p.provariadic = 0
          and p.prorettype not in (select oid from pg_type where typtype = 'p' and typname <> 'void') and not p.proretset
      loop
        for position in 1 .. cardinality(f.args) loop
          foreach variant in array concrete loop
            continue when not (
              f.args[position] in ('"any"', 'anyelement', 'anyarray', 'anynonarray')
              or f.args[position] in ('bigint', 'double precision', 'numeric') and variant in ('integer', 'bigint', 'numeric')
              or f.args[position] = 'oid' and variant in ('regclass', 'integer')
              or f.args[position] = 'text' and variant = 'name');
            types := f.args; types[position] := variant;
            continue when types = f.args or types && array['"any"', 'anyelement', 'anyarray', 'anynonarray', 'internal', 'cstring'];
            begin
              execute format('create function ${schema}.%I(%s) returns %s language plpgsql as %L', f.proname, array_to_string(types, ', '), f.result,
                format('begin insert into ${role}.called (name, by) values (%L, current_user); return pg_catalog.%I(%s); end', f.proname, f.proname,
                  (select string_agg(format('$%s::%s', n, case when a in ('"any"', 'anyelement', 'anyarray', 'anynonarray') then types[n] else a end), ', ') from unnest(f.args) with ordinality as x(a, n))));
              created := created + 1;
            exception when others then null;
            end;
          end loop;
        end loop;
      end loop;
      for f in
        select * from (values ('*', 'numeric', 'integer', 'numeric', 'numeric'), ('*', 'double precision', 'integer', 'double precision', 'double precision'),
          ('/', 'numeric', 'integer', 'numeric', 'numeric'), ('/', 'double precision', 'integer', 'double precision', 'double precision'),
          ('=', 'oid', 'regclass', 'oid', 'boolean'), ('=', 'regclass', 'regclass', 'oid', 'boolean'), ('=', 'oid', 'integer', 'oid', 'boolean'),
          ('=', 'xid', 'bigint', 'text', 'boolean'), ('>', 'bigint', 'numeric', 'numeric', 'boolean')
        ) as o(name, a, b, operands, result)
      loop
        begin
          execute format('create function ${schema}.%I(%s, %s) returns %s language plpgsql as %L', 'operator_' || created, f.a, f.b, f.result,
            format('begin insert into ${role}.called (name, by) values (%L, current_user); return $1::%s operator(pg_catalog.%s) $2::%s; end',
              'operator ' || f.name || '(' || f.a || ', ' || f.b || ')', f.operands, f.name, f.operands));
          execute format('create operator ${schema}.%s (leftarg = %s, rightarg = %s, procedure = ${schema}.%I)', f.name, f.a, f.b, 'operator_' || created);
          created := created + 1;
        exception when others then null;
        end;
      end loop;
      if created < 100 then raise 'only % functions were created', created; end if;
    end $do$`);
}
