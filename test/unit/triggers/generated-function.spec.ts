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

describe('a function is generated', () => {
  it.each<[string, Partial<ResolvedTrigger>, readonly Operation[]]>([
    ['nothing', {}, []],
    ['of', { of: ['a'] }, []],
    ['when', { when: 'NEW.a' }, []],
    ['columns', { columns: ['id'] }, ['insert', 'update', 'delete']],
    ['no column at all', { columns: [] }, ['insert', 'update', 'delete']],
    ['per statement', { level: 'statement' }, []],
    ['of per statement', { level: 'statement', of: ['a'] }, ['update']],
    ['when per statement', { level: 'statement', when: 'NEW.a' }, ['insert', 'update', 'delete']],
    ['a kind per statement', { level: 'statement', discriminator: { column: 'kind', values: ['a'] } }, ['insert', 'update', 'delete']],
  ])('for %s, by the operations that need it', (_, given, expected) => {
    const on = ['insert', 'update', 'delete', 'truncate'] as const;
    const resolved = trigger({ ...given, on });
    expect(on.filter((operation) => isGenerated(resolved, operation))).toEqual(expected);
    expect(functionsOf({ ...given, on }).map(({ name }) => name)).toEqual(
      expected.length === 0 ? [] : [functionName('author', 'author')],
    );
  }); // prettier-ignore

  it('for a condition with a subquery, over two rows of the table', () => {
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

describe('a function of a row that leaves columns out', () => {
  const linesOf = (given: Partial<ResolvedTrigger>) => createOf(given).split('\n');

  it.each<[string, Partial<ResolvedTrigger>]>([
    ['broadcast', {}],
    ['broadcast of many columns', { columns: columns(60) }],
    ['exactly-once', { delivery: 'exactly-once' }],
    ['exactly-once, ordered', { delivery: 'exactly-once', ordered: true }],
  ])('has at most 15 lines: %s', (_, given) => {
    expect(linesOf({ columns: ['id', 'name'], ...given }).length).toBeLessThanOrEqual(15);
  });

  it('carries exactly these columns, in this order, whatever their names', () => {
    const create = createOf({ columns: ['id', `it's`, 'The "x"', 'back\\slash'], primaryKey: [`it's`] });
    const object = (row: string) =>
      `json_build_object('id', ${row}."id", 'it''s', ${row}."it's", 'The "x"', ${row}."The ""x""",  E'back\\\\slash', ${row}."back\\slash")`;
    expect(create).toContain(`"new":' || ${object('new')} || ending;`);
    expect(create).toContain(`"old":' || ${object('old')} || ',"new":null`);
    expect(create).toContain(`case when tg_op <> 'DELETE' then json_build_object('it''s', new."it's") end`);
  });

  it('passes up to 50 columns as arguments, of which PostgreSQL takes 100, and more by a query', () => {
    const fifty = createOf({ columns: columns(50) });
    expect(fifty).toContain(`'c50', new."c50")`);
    expect(fifty).not.toContain('row_to_json(');
    const more = createOf({ columns: columns(51) });
    expect(more).toContain(', new."c51") as ');
    expect(more).not.toContain(`'c51'`);
  });

  it('reads the whole row of such a query, also when a column has the name of the row', () => {
    expect(createOf({ columns: [...columns(50), 'columns'] })).toContain('row_to_json(columns.*)');
  });

  it('is only about rows that the operations have', () => {
    const insert = createOf({ columns: ['id'], on: ['insert'] });
    expect(insert).not.toContain('old.');
    expect(createOf({ columns: ['id'], on: ['delete', 'truncate'] })).not.toMatch(/\bnew\./);
    expect(createOf({ columns: ['id'], on: ['insert'], level: 'statement' })).not.toContain('old_rows');
  });

  it('stores with the key of the row, when the channel is ordered', () => {
    const given = { columns: ['name'], delivery: 'exactly-once', storageSchema: 'a"b' } as const;
    expect(createOf(given)).not.toContain('pgpubsub_key');
    expect(createOf(given)).toContain('insert into "a""b"."pgpubsub_notification"');
    expect(createOf({ ...given, ordered: true })).toContain(
      `row_key := "a""b"."pgpubsub_key"(json_build_object('id', old."id"), tg_argv[5:]);`,
    );
  });
});

describe('a function of the rows of a statement', () => {
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

  it('has null for the row that the operation does not have, in a condition only', () => {
    const given = { level: 'statement', when: 'NEW.a or OLD.a' } as const;
    expect(createOf({ ...given, on: ['insert'] })).toContain('from new_rows as new left join new_rows as old on false where (NEW.a or OLD.a)');
    expect(createOf({ ...given, on: ['delete'] })).toContain('from old_rows as old left join old_rows as new on false where (NEW.a or OLD.a)');
    expect(createOf({ level: 'statement', columns: ['id'], on: ['insert'] })).not.toContain('left join');
  }); // prettier-ignore

  it('stores all rows by one insert', () => {
    const create = createOf({ level: 'statement', delivery: 'exactly-once', columns: ['id'] });
    expect(create.match(/insert into "public"\."pgpubsub_notification"/g)?.length).toBe(3);
    expect(create).toContain('if not found then return null; end if;');
  });
});

describe('every function', () => {
  const KINDS: Partial<ResolvedTrigger>[] = (['row', 'statement'] as const).flatMap((level) =>
    (['broadcast', 'exactly-once'] as const).flatMap((delivery) => [
      { level, delivery, columns: ['id'] },
      { level, delivery, columns: columns(60), ordered: true },
      { level, delivery, columns: ['id'], when: 'exists (select where NEW.a)', of: ['a'] },
    ]),
  );

  it.each(KINDS)('is compared by what it is created from: %j', (given) => {
    for (const one of functionsOf({ ...given, schema: 'a"b' })) {
      expect(one.create).toContain(`$pgpubsub$${one.body}$pgpubsub$`);
      expect(one.create.startsWith(`create or replace function "a""b"."${one.name}"(`)).toBe(true);
      expect(one.identity.startsWith(`"a""b"."${one.name}"(`)).toBe(true);
    }
  });

  it.each(KINDS)('has blocks that end, and brackets in pairs: %j', (given) => {
    for (const { body } of functionsOf(given)) {
      const count = (pattern: RegExp) => body.match(pattern)?.length ?? 0;
      expect(count(/\(/g)).toBe(count(/\)/g));
      expect(count(/\bbegin\b/g) + count(/\bcase\b/g)).toBe(count(/\bend\b(?! if)/g));
      expect(count(/\bif\b(?<!end if)/g)).toBe(count(/\bend if\b/g));
    }
  });

  it('has the digits of floats that the server writes', () => {
    const [old] = generatedFunctions(trigger({ columns: ['id'] }), 110_000);
    expect(old?.create).toContain("set extra_float_digits = '0'");
    expect(createOf({ columns: ['id'] })).toContain("set extra_float_digits = '1'");
  });
});
