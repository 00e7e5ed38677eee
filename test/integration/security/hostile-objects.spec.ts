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

/**
 * Creates functions and operators in a schema that the server prefers to those of pg_catalog,
 * because their types fit better: a search path that contains the schema is enough, even after
 * pg_catalog. Each records its calls.
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
  await overloadOperators(client, schema, role);
  await overloadPolymorphic(client, schema, role);
}

/**
 * Creates operators for the pairs of types for which pg_catalog has none, and for those that fit
 * only because a literal next to another type is first taken for that type.
 */
async function overloadOperators(client: pg.Client, schema: string, role: string): Promise<void> {
  const names = ['=', '<>', '<', '>', '<=', '>=', '+', '-', '*', '/', '%', '&', '||', '@>', '&&', '->', '->>', '#>>', '~~', '*<>']; // prettier-ignore
  const types = ['json', 'jsonb', 'text', 'text[]', 'name', 'bigint', 'bigint[]', 'integer', 'smallint', 'numeric', 'double precision', 'oid', 'regclass', 'regtype', 'xid', 'interval', 'timestamp with time zone', 'public.author', 'public.invoice']; // prettier-ignore
  await client.query(`set search_path = pg_catalog; do $do$
    declare
      op text; a text; b text; beside text; result text; created int := 0;
    begin
      foreach op in array array[${names.map((name) => `'${name}'`).join()}] loop
        foreach a in array array[${types.map((type) => `'${type}'`).join()}] loop
          foreach b in array array[${types.map((type) => `'${type}'`).join()}] loop
            continue when a like 'public.%' and a <> b;
            if exists (select from pg_operator where oprname = op and oprnamespace = 'pg_catalog'::regnamespace and oprleft = a::regtype and oprright = b::regtype) then continue; end if;
            begin
              begin
                beside := '$2';
                execute format('select pg_typeof(null::%s %s null::%s)', a, op, b) into result;
              exception when others then -- as with a literal on the right
                continue when a <> b;
                beside := 'quote_literal($2::text)';
                execute format('select pg_typeof(null::%s %s null)', a, op) into result;
              end;
              continue when result = 'unknown';
              execute format('create function ${schema}.%I(%s, %s) returns %s language plpgsql set search_path = pg_catalog as %L', 'pair_' || created, a, b, result,
                format('declare result %s; begin insert into ${role}.called (name, by) values (%L, current_user); execute %s using $1, $2 into result; return result; end',
                  result, 'operator ' || op || '(' || a || ', ' || b || ')',
                  case beside when '$2' then quote_literal('select $1 ' || op || ' $2') else format('''select $1 %s '' || quote_literal($2::text)', op) end));
              execute format('create operator ${schema}.%s (leftarg = %s, rightarg = %s, procedure = ${schema}.%I)', op, a, b, 'pair_' || created);
              created := created + 1;
            exception when others then null;
            end;
          end loop;
        end loop;
      end loop;
      if created < 200 then raise 'only % operators were created', created; end if;
    end $do$`);
}

/**
 * Creates variants of functions that take any type: those with several arguments, sets and
 * aggregates.
 */
async function overloadPolymorphic(client: pg.Client, schema: string, role: string): Promise<void> {
  const called = (name: string, types: readonly string[]) =>
    `insert into ${role}.called (name, by) values ('${name}(${types.join(', ')})', current_user);`;
  const define = (name: string, types: string[], result: string) => {
    const values = types.map((_, index) => `$${index + 1}`).join();
    const call = result.startsWith('setof') ? `return query select * from ${name}(${values})` : `return ${name}(${values})`; // prettier-ignore
    return `create function ${schema}.${name}(${types.join()}) returns ${result} language plpgsql set search_path = pg_catalog as $$ begin ${called(name, types)} ${call}; end $$`;
  };
  const aggregate = (name: string, types: string[], state: string, next: string) => {
    const step = `${schema}.${name}_step`;
    return `create function ${step}(${[state, ...types].join()}) returns ${state} language plpgsql set search_path = pg_catalog as $$ begin ${called(name, types)} return ${next}; end $$;
      create aggregate ${schema}.${name}(${types.join()}) (sfunc = ${step}, stype = ${state})`;
  };
  const values = ['text', 'name', 'bigint', 'json', 'timestamp with time zone'];
  const statements = [
    ...['text', 'bigint', 'smallint', 'integer'].map((type) =>
      define('unnest', [`${type}[]`], `setof ${type}`),
    ),
    ...values.flatMap((a) => [
      aggregate('count', [a], 'bigint', 'coalesce($1, 0) + 1'),
      aggregate('array_agg', [a], `${a}[]`, 'array_append($1, $2)'),
      define('format', ['text', a], 'text'),
      define('concat', [a], 'text'),
      ...values.flatMap((b) => [
        aggregate('json_object_agg', [a, b], 'json', `'{}'::json`),
        define('json_build_object', [a, b], 'json'),
        define('format', ['text', a, b], 'text'),
        define('concat', [a, b], 'text'),
        ...values.flatMap(
          (c) =>
          values.flatMap((d) => [define('json_build_object', [a, b, c, d], 'json'), define('concat', [a, b, c, d], 'text')]), // prettier-ignore
        ),
      ]),
    ]),
    define('pg_terminate_backend', ['integer'], 'boolean'),
  ];
  await client.query(`set search_path = ${schema}`);
  for (const sql of statements) expect(await attempt(client, sql)).toBeUndefined();
}
