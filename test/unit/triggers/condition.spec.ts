import { describe, expect, it } from 'vitest';
import type { Operation } from '../../../lib/channels/entity-change.js';
import {
  ANY_CHANGE,
  hasConditionFunction,
  isRestricted,
  rowsClause,
  whenClause,
} from '../../../lib/triggers/condition.js';
import { conditionFunctionName } from '../../../lib/triggers/trigger.names.js';
import type { ResolvedTrigger } from '../../../lib/triggers/trigger.resolver.js';
import { trigger } from '../support/resolved.js';

const NOTHING = '(null::"public"."author")';

const clause = (operation: Operation, given: Partial<ResolvedTrigger>) =>
  whenClause(trigger(given), operation);

describe('a trigger without a condition', () => {
  it('fires for every insert, delete and truncate, and for updates that change a value', () => {
    expect(clause('insert', {})).toBeUndefined();
    expect(clause('delete', {})).toBeUndefined();
    expect(clause('truncate', {})).toBeUndefined();
    expect(clause('update', {})).toBe(ANY_CHANGE);
    expect(isRestricted(trigger(), 'update')).toBe(false);
    expect(isRestricted(trigger(), 'insert')).toBe(false);
  });
});

describe('the option "of"', () => {
  const of = ['name', 'The "x"'];
  it('compares columns of any type by value in updates', () => {
    const expected = `record_image_ne(row(old."name", old."The ""x"""), row(new."name", new."The ""x"""))`;
    expect(clause('update', { of })).toBe(expected);
    expect(rowsClause(trigger({ of }), 'update')).toBe(expected);
    expect(clause('insert', { of })).toBeUndefined();
    expect(isRestricted(trigger({ of }), 'update')).toBe(true);
    expect(isRestricted(trigger({ of }), 'delete')).toBe(false);
  });
});

describe('the option "when"', () => {
  it('is combined with the test for a change, in parentheses', () => {
    const when = 'NEW.active or OLD.active';
    expect(clause('update', { when })).toBe(`(${ANY_CHANGE}) and (${when})`);
    expect(clause('truncate', { when })).toBeUndefined();
    expect(isRestricted(trigger({ when }), 'truncate')).toBe(false);
  });

  it.each([
    ['NEW.active', 'NEW.active', `${NOTHING}.active`],
    ['OLD.active', `${NOTHING}.active`, 'OLD.active'],
    ['new.a is distinct from Old.a', `new.a is distinct from ${NOTHING}.a`, `${NOTHING}.a is distinct from Old.a`],
    ['"new".a = "old"."b"', `"new".a = ${NOTHING}."b"`, `${NOTHING}.a = "old"."b"`],
    ['NEW . a', 'NEW . a', `${NOTHING} . a`],
    ['(NEW).a', '(NEW).a', `(${NOTHING}).a`],
    ['NEW is null', 'NEW is null', `${NOTHING} is null`],
    ['to_jsonb(OLD) ? to_jsonb(NEW)', `to_jsonb(${NOTHING}) ? to_jsonb(NEW)`, `to_jsonb(OLD) ? to_jsonb(${NOTHING})`],
    ['coalesce(OLD.a,NEW.a)', `coalesce(${NOTHING}.a,NEW.a)`, `coalesce(OLD.a,${NOTHING}.a)`],
    ['-NEW.a=1', '-NEW.a=1', `-${NOTHING}.a=1`],
  ])('replaces the row that the operation does not have with null: %s', (when, insert, remove) => {
    expect(clause('insert', { when })).toBe(insert);
    expect(clause('delete', { when })).toBe(remove);
    expect(clause('update', { when })).toBe(`(${ANY_CHANGE}) and (${when})`);
  }); // prettier-ignore

  it.each([
    ['in a string', `NEW.a = 'old and new, OLD.x'`],
    ['in an escaped string', String.raw`NEW.a = E'it\'s old'`],
    ['in a string with a quote', `NEW.a = 'it''s old'`],
    ['in a dollar-quoted string', 'NEW.a = $$old$$ or NEW.a = $x$it is old$x$'],
    ['in a comment', 'NEW.a /* not old, /* nor old */ OLD.x */ is null'],
    ['in a line comment', 'NEW.a -- not OLD\n is null'],
    ['as a column', 'NEW.old or NEW."old" or NEW . old or NEW./* the */old'],
    ['as a field of a column', '(NEW.a).old'],
    ['as a function of a schema', 'app.old(NEW.a)'],
    ['as parts of other names', 'NEW.old_name = threshold(NEW.a) or NEW.older'],
    ['as an identifier in another case', 'NEW."OLD" or "OLD"() or "Old"()'],
    ['as a named argument', 'app.differs(old => NEW.a, "old" := NEW.b)'],
  ])('keeps the names of the rows %s', (_, when) => {
    expect(clause('insert', { when })).toBe(when);
  });

  it('quotes the table in the replacement of a row', () => {
    const given = { schema: 'The "s"', table: "it's", when: 'OLD.a' };
    expect(clause('insert', given)).toBe(`(null::"The ""s"""."it's").a`);
  });
});

describe('the condition of a WHEN clause', () => {
  it.each([
    'exists (select from post)',
    'NEW.id in (SELECT id from post)',
    'NEW.id = any (array(select 1))',
    'NEW.id in (values (1), (2))',
    '(table flags)',
    'NEW.id in (with x as (select 1 as id) select id from x)',
    'row(OLD.*) is distinct from row(NEW.*)',
    'OLD.* is distinct from NEW . *',
  ])('becomes a function when WHEN does not accept it: %s', (when) => {
    expect(hasConditionFunction(trigger({ when }))).toBe(true);
    const name = `"public"."${conditionFunctionName('author', 'author')}"`;
    expect(clause('insert', { when })).toBe(`${name}(null::"public"."author", new.*)`);
    expect(clause('update', { when })).toBe(`(${ANY_CHANGE}) and (${name}(old.*, new.*))`);
    expect(clause('delete', { when })).toBe(`${name}(old.*, null::"public"."author")`);
  });

  it.each([
    'NEW.select or NEW."values" or NEW . table',
    `NEW.name = 'select' or "table"(NEW.id)`,
    'NEW.id /* select */ > 1',
    'NEW.a * 2 > NEW.b*NEW.c',
    'NEW.selected',
    "NEW.created_at > '2024-01-01'::timestamp with time zone",
    'NEW.at::time with time zone is null',
    "cast(NEW.day as timestamp without time zone) is null",
  ])('becomes no function when WHEN accepts it: %s', (when) => {
    expect(hasConditionFunction(trigger({ when }))).toBe(false);
    expect(clause('insert', { when })).toBe(when);
  }); // prettier-ignore

  it('is part of the query at level "statement"', () => {
    const when = 'exists (select from post)';
    const given = trigger({ level: 'statement', when });
    expect(hasConditionFunction(given)).toBe(false);
    expect(rowsClause(given, 'insert')).toBe(when);
    expect(rowsClause(given, 'update')).toBe(`(${ANY_CHANGE}) and (${when})`);
  });
});

describe('combined conditions', () => {
  const discriminator = { column: 'Kind', values: ['photo', "author's note"] };
  const given = { of: ['name'], when: 'OLD.active', discriminator };
  const values = `in ('photo', 'author''s note')`;

  it('use the discriminator of the row after the change', () => {
    expect(clause('insert', { discriminator })).toBe(`new."Kind"::text ${values}`);
    expect(clause('update', { discriminator })).toBe(`(${ANY_CHANGE}) and (new."Kind"::text ${values})`);
    expect(clause('delete', { discriminator })).toBe(`old."Kind"::text ${values}`);
    expect(isRestricted(trigger({ discriminator }), 'insert')).toBe(true);
  });

  it('are put in parentheses, so that an "or" in one does not disable the others', () => {
    expect(clause('insert', given)).toBe(`(new."Kind"::text ${values}) and (${NOTHING}.active)`);
    expect(clause('update', given)).toBe(
      `(record_image_ne(row(old."name"), row(new."name"))) and (new."Kind"::text ${values}) and (OLD.active)`,
    );
    expect(clause('delete', given)).toBe(`(old."Kind"::text ${values}) and (OLD.active)`);
    expect(rowsClause(trigger(given), 'insert')).toBe(`(new."Kind"::text ${values}) and (OLD.active)`);
  });
});
