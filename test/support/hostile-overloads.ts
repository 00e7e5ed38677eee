import type pg from 'pg';
import { expect } from 'vitest';
import { attempt } from './hostile-roles.js';

/**
 * Creates functions and operators in a schema that the server prefers to those of pg_catalog,
 * because their types fit better: a search path that contains the schema is enough, even after
 * pg_catalog. Each records its calls.
 */
export async function overload(client: pg.Client, schema: string, role: string): Promise<void> {
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
