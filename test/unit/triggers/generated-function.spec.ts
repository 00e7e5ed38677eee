import { describe, expect, it } from 'vitest';
import type { Operation } from '../../../lib/channels/entity-change.js';
import { generatedFunctions, isGenerated } from '../../../lib/triggers/generated-function.sql.js';
import { conditionFunctionName, functionName } from '../../../lib/triggers/trigger.names.js';
import type { ResolvedTrigger } from '../../../lib/triggers/trigger.resolver.js';
import { trigger } from '../support/resolved.js';

const SERVER = 180_000;
const functionsOf = (given: Partial<ResolvedTrigger>) => generatedFunctions(trigger(given), SERVER);
const createOf = (given: Partial<ResolvedTrigger>): string => functionsOf(given)[0]?.create ?? '';
const columns = (count: number) => Array.from({ length: count }, (_, index) => `c${index + 1}`);

describe('a generated function', () => {
  it.each<[string, Partial<ResolvedTrigger>, readonly Operation[]]>([
    ['no option', {}, []],
    ['"of"', { of: ['a'] }, []],
    ['"when"', { when: 'NEW.a' }, []],
    ['"columns"', { columns: ['id'] }, ['insert', 'update', 'delete']],
    ['empty "columns"', { columns: [] }, ['insert', 'update', 'delete']],
    ['a statement trigger', { level: 'statement' }, []],
    ['"of" of a statement trigger', { level: 'statement', of: ['a'] }, ['update']],
    ['"when" of a statement trigger', { level: 'statement', when: 'NEW.a' }, ['insert', 'update', 'delete']],
    ['a discriminator of a statement trigger', { level: 'statement', discriminator: { column: 'kind', values: ['a'] } }, ['insert', 'update', 'delete']],
  ])('exists for %s, for the operations that need it', (_, given, expected) => {
    const on = ['insert', 'update', 'delete', 'truncate'] as const;
    const resolved = trigger({ ...given, on });
    expect(on.filter((operation) => isGenerated(resolved, operation))).toEqual(expected);
    expect(functionsOf({ ...given, on }).map(({ name }) => name)).toEqual(
      expected.length === 0 ? [] : [functionName('author', 'author')],
    );
  }); // prettier-ignore

  it('exists for a condition with a subquery, with two rows of the table as arguments', () => {
    const [one, ...more] = functionsOf({ schema: 'a"b', when: `exists (select '$pgpubsub$')` });
    const name = `"a""b"."${conditionFunctionName('author', 'author')}"`;
    expect(more).toEqual([]);
    expect(one).toMatchObject({
      identity: `${name}("a""b"."author", "a""b"."author")`,
      body: `select (exists (select '$pgpubsub$'))`,
      settings: ['search_path=pg_catalog, pg_temp'],
    });
    expect(one?.create).toBe(
      `create or replace function ${name}(old "a""b"."author", new "a""b"."author") returns boolean language sql\n` +
        `  set search_path = pg_catalog, pg_temp as $pgpubsub1$select (exists (select '$pgpubsub$'))$pgpubsub1$`,
    );
  });
});

describe('a generated function of a row trigger', () => {
  const linesOf = (given: Partial<ResolvedTrigger>) => createOf(given).split('\n');

  it.each<[string, Partial<ResolvedTrigger>]>([
    ['a broadcast', {}],
    ['a broadcast of many columns', { columns: columns(60) }],
    ['exactly-once delivery', { delivery: 'exactly-once' }],
    ['ordered exactly-once delivery', { delivery: 'exactly-once', ordered: true }],
  ])('has at most 15 lines for %s', (_, given) => {
    expect(linesOf({ columns: ['id', 'name'], ...given }).length).toBeLessThanOrEqual(15);
  });

  it('sends exactly the given columns in the given order, with any names', () => {
    const create = createOf({ columns: ['id', `it's`, 'The "x"', 'back\\slash'], primaryKey: [`it's`] });
    const object = (row: string) =>
      `json_build_object('id', ${row}."id", 'it''s', ${row}."it's", 'The "x"', ${row}."The ""x""",  E'back\\\\slash', ${row}."back\\slash")`;
    expect(create).toContain(`"new":' || ${object('new')} || ending;`);
    expect(create).toContain(`"old":' || ${object('old')} || ',"new":null`);
    expect(create).toContain(`case when tg_op <> 'DELETE' then json_build_object('it''s', new."it's") end`);
  });

  it('passes up to 50 columns as arguments, because PostgreSQL accepts 100, and more through a query', () => {
    const fifty = createOf({ columns: columns(50) });
    expect(fifty).toContain(`'c50', new."c50")`);
    expect(fifty).not.toContain('row_to_json(');
    const more = createOf({ columns: columns(51) });
    expect(more).toContain(', new."c51") as ');
    expect(more).not.toContain(`'c51'`);
  });

  it('reads the whole row of such a query, even when a column has the name of the row', () => {
    expect(createOf({ columns: [...columns(50), 'columns'] })).toContain('row_to_json(columns.*)');
  });

  it('refers only to rows that the operations have', () => {
    const insert = createOf({ columns: ['id'], on: ['insert'] });
    expect(insert).not.toContain('old.');
    expect(createOf({ columns: ['id'], on: ['delete', 'truncate'] })).not.toMatch(/\bnew\./);
    expect(createOf({ columns: ['id'], on: ['insert'], level: 'statement' })).not.toContain('old_rows');
  });

  it('stores the key of the row when the channel is ordered', () => {
    const given = { columns: ['name'], delivery: 'exactly-once', storageSchema: 'a"b' } as const;
    expect(createOf(given)).not.toContain('pgpubsub_key');
    expect(createOf(given)).toContain('insert into "a""b"."pgpubsub_notification"');
    expect(createOf({ ...given, ordered: true })).toContain(
      `row_key := "a""b"."pgpubsub_key"(json_build_object('id', old."id"), tg_argv[5:]);`,
    );
  });
});

describe('a generated function of a statement trigger', () => {
  it('has a branch for each operation that needs one', () => {
    const create = createOf({ level: 'statement', of: ['a'], columns: undefined });
    expect(create).toContain("if tg_op = 'UPDATE' then");
    expect(create).not.toContain("'INSERT'");
    const all = createOf({ level: 'statement', columns: ['id'] });
    expect([...all.matchAll(/(?:els)?if tg_op = '(\w+)'/g)].map(([text]) => text)).toEqual([
      "if tg_op = 'INSERT'",
      "elsif tg_op = 'UPDATE'",
      "elsif tg_op = 'DELETE'",
    ]);
  });

  it('has null for the row that the operation does not have, in conditions only', () => {
    const given = { level: 'statement', when: 'NEW.a or OLD.a' } as const;
    expect(createOf({ ...given, on: ['insert'] })).toContain('from new_rows as new left join new_rows as old on false where (NEW.a or OLD.a)');
    expect(createOf({ ...given, on: ['delete'] })).toContain('from old_rows as old left join old_rows as new on false where (NEW.a or OLD.a)');
    expect(createOf({ level: 'statement', columns: ['id'], on: ['insert'] })).not.toContain('left join');
  }); // prettier-ignore

  it('stores all rows with one insert per operation', () => {
    const create = createOf({ level: 'statement', delivery: 'exactly-once', columns: ['id'] });
    expect(create.match(/insert into "public"\."pgpubsub_notification"/g)?.length).toBe(3);
    expect(create).toContain('if not found then return null; end if;');
  });
});

describe('each generated function', () => {
  const KINDS: Partial<ResolvedTrigger>[] = (['row', 'statement'] as const).flatMap((level) =>
    (['broadcast', 'exactly-once'] as const).flatMap((delivery) => [
      { level, delivery, columns: ['id'] },
      { level, delivery, columns: columns(60), ordered: true },
      { level, delivery, columns: ['id'], when: 'exists (select where NEW.a)', of: ['a'] },
    ]),
  );

  it.each(KINDS)('is compared by the body that it is created from: %j', (given) => {
    for (const one of functionsOf({ ...given, schema: 'a"b' })) {
      expect(one.create).toContain(`$pgpubsub$${one.body}$pgpubsub$`);
      expect(one.create.startsWith(`create or replace function "a""b"."${one.name}"(`)).toBe(true);
      expect(one.identity.startsWith(`"a""b"."${one.name}"(`)).toBe(true);
    }
  });

  it.each(KINDS)('has terminated blocks and balanced parentheses: %j', (given) => {
    for (const { body } of functionsOf(given)) {
      const count = (pattern: RegExp) => body.match(pattern)?.length ?? 0;
      expect(count(/\(/g)).toBe(count(/\)/g));
      expect(count(/\bbegin\b/g) + count(/\bcase\b/g)).toBe(count(/\bend\b(?! if)/g));
      expect(count(/\bif\b(?<!end if)/g)).toBe(count(/\bend if\b/g));
    }
  });

  it('has the default extra_float_digits of the server version', () => {
    const [old] = generatedFunctions(trigger({ columns: ['id'] }), 110_000);
    expect(old?.create).toContain("set extra_float_digits = '0'");
    expect(createOf({ columns: ['id'] })).toContain("set extra_float_digits = '1'");
  });
});
