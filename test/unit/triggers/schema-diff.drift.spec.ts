import { describe, expect, it } from 'vitest';
import { ANY_CHANGE } from '../../../lib/triggers/condition.js';
import { generatedFunctions } from '../../../lib/triggers/generated-function.sql.js';
import type { CatalogFunction, CatalogTrigger } from '../../../lib/triggers/trigger.catalog.js';
import { createTrigger, operationTriggers } from '../../../lib/triggers/trigger.sql.js';
import { trigger } from '../support/resolved.js';
import { downs, ups } from '../support/steps.js';
import {
  BITS,
  OWNER,
  ROW_BIT,
  SERVER,
  catalogOf,
  diff,
  hex,
  kinds,
  verbOf,
  withFunctions,
  withTriggers,
} from './schema-diff.fixtures.js';

const INSERT = '"_pgpubsub_author_insert"';
const UPDATE = '"_pgpubsub_author_update"';
const ON = 'on "public"."author"';

describe('a trigger that differs', () => {
  const wanted = [trigger({ on: ['update'] })];
  const catalog = catalogOf(wanted);

  it.each<[string, Partial<CatalogTrigger>]>([
    ['its function', { function_name: 'other' }],
    ['the schema of its function', { function_schema: 'other' }],
    ['its level', { type: BITS.update }],
    ['its operations', { type: BITS.update + BITS.insert + ROW_BIT }],
    ['its time (BEFORE)', { type: BITS.update + ROW_BIT + 2 }],
    ['its transition tables', { old_table: 'old_rows' }],
    ['columns or deferral', { plain: false }],
    ['its condition', { condition: '(old.* IS DISTINCT FROM new.*)' }],
    ['a missing condition', { condition: null }],
    ['its channel', { arguments: hex(OWNER, 'other', 'public', 'author', 'id') }],
    ['its table', { arguments: hex(OWNER, 'author', 'public', 'other', 'id') }],
    ['its primary key', { arguments: hex(OWNER, 'author', 'public', 'author', 'uuid') }],
    ['an additional argument', { arguments: hex(OWNER, 'author', 'public', 'author', 'id', 'x') }],
    ['an additional empty argument', { arguments: hex(OWNER, 'author', 'public', 'author', 'id', '') }],
  ])('in %s is dropped before the tables change and created afterwards, and the down migration restores it', (_, changes) => {
    const definition = 'create trigger as it was';
    const found = diff(wanted, withTriggers(catalog, () => ({ ...changes, definition, comment: 'of others' })));
    expect(kinds(found)).toEqual(['drifted: trigger _pgpubsub_author_update on public.author']);
    expect(ups(found.before)).toEqual([`drop trigger ${UPDATE} ${ON}`]);
    expect(ups(found.after)).toEqual(operationTriggers(wanted[0] ?? trigger(), OWNER).map(createTrigger));
    expect(downs(found.after)).toEqual([`drop trigger ${UPDATE} ${ON}`]);
    expect(downs(found.before)).toEqual([definition, `comment on trigger ${UPDATE} ${ON} is 'of others'`]);
  }); // prettier-ignore

  it.each<[string, Partial<CatalogTrigger>]>([
    ['a missing comment', { comment: null }],
    ['another comment', { comment: 'pgpubsub: when OLD.active' }],
    ['a missing condition', { condition: null }],
  ])('in %s is replaced when it has a condition', (_, changes) => {
    const restricted = [trigger({ on: ['update'], when: 'NEW.active' })];
    const found = diff(
      restricted,
      withTriggers(catalogOf(restricted), () => changes),
    );
    expect(kinds(found)).toEqual(['drifted: trigger _pgpubsub_author_update on public.author']);
    expect(ups(found.after).at(-1)).toBe(
      `comment on trigger ${UPDATE} ${ON} is 'pgpubsub: when (${ANY_CHANGE}) and (NEW.active)'`,
    );
  });

  it('makes no difference in a foreign comment when it has no condition', () => {
    expect(
      diff(
        wanted,
        withTriggers(catalog, () => ({ comment: 'of others' })),
      ).differences,
    ).toEqual([]);
  });

  it('keeps its enabled mode in the down migration', () => {
    const found = diff(
      wanted,
      withTriggers(catalog, () => ({ condition: null, enabled: 'R' })),
    );
    expect(downs(found.before)).toEqual([
      ...catalog.triggers.map(({ definition }) => definition),
      `alter table "public"."author" enable replica trigger ${UPDATE}`,
    ]);
  });
});

describe('a disabled trigger', () => {
  const wanted = [trigger({ on: ['insert'] })];
  it.each([
    ['D', 'disable'],
    ['R', 'enable replica'],
  ])('(%s) is enabled, and gets its mode back in the down migration', (enabled, back) => {
    const found = diff(
      wanted,
      withTriggers(catalogOf(wanted), () => ({ enabled })),
    );
    expect(kinds(found)).toEqual(['disabled: trigger _pgpubsub_author_insert on public.author']);
    expect(ups(found.after)).toEqual([`alter table "public"."author" enable trigger ${INSERT}`]);
    expect(downs(found.after)).toEqual([`alter table "public"."author" ${back} trigger ${INSERT}`]);
    expect(found.before).toEqual([]);
  });

  it('does not include a trigger that always fires', () => {
    expect(
      diff(
        wanted,
        withTriggers(catalogOf(wanted), () => ({ enabled: 'A' })),
      ).differences,
    ).toEqual([]);
  });

  it('is created again when it has a condition, because its table may change in the same migration', () => {
    const restricted = [trigger({ on: ['insert'], when: 'NEW.active' })];
    const found = diff(
      restricted,
      withTriggers(catalogOf(restricted), () => ({ enabled: 'D' })),
    );
    expect(kinds(found)).toEqual(['disabled: trigger _pgpubsub_author_insert on public.author']);
    expect(ups(found.before)).toEqual([`drop trigger ${INSERT} ${ON}`]);
    expect(ups(found.after).map(verbOf)).toEqual([
      `create trigger ${INSERT}`,
      `comment on trigger ${INSERT}`,
    ]);
    expect(downs(found.before).map(verbOf)).toEqual([
      `create trigger ${INSERT}`,
      `alter table "public"."author" disable trigger ${INSERT}`,
      `comment on trigger ${INSERT}`,
    ]);
    expect(found.rebuilds).toEqual([]);
  });
});

describe('a function that differs', () => {
  const wanted = [trigger({ columns: ['id'], on: ['insert'] })];
  const catalog = catalogOf(wanted);
  const [created] = wanted.flatMap((one) => generatedFunctions(one, SERVER));

  it.each<[string, Partial<CatalogFunction>]>([
    ['its body', { body: 'begin return null; end' }],
    ['its settings', { settings: null }],
    ['its privileges, its language or its result', { plain: false }],
    ['its role', { trusted: false }],
  ])('in %s is replaced after the tables change, and restored by the down migration', (_, changes) => {
    const definition = 'create or replace function as it was';
    const found = diff(wanted, withFunctions(catalog, { ...changes, definition }));
    expect(kinds(found)).toEqual([`drifted: function public.${created?.name}`]);
    expect(ups(found.before)).toEqual([]);
    expect(ups(found.after)).toEqual([
      created?.create,
      `comment on function ${created?.identity} is 'pgpubsub:public.migrations'`,
    ]);
    expect(downs(found.after)).toEqual([]);
    expect(downs(found.before)).toEqual([definition, `comment on function ${created?.identity} is 'pgpubsub:public.migrations'`]);
  }); // prettier-ignore

  it('in a missing comment gets one, which the down migration removes', () => {
    const found = diff(wanted, withFunctions(catalog, { comment: null }));
    expect(kinds(found)).toEqual([`drifted: function public.${created?.name}`]);
    expect(downs(found.before).at(-1)).toBe(`comment on function ${created?.identity} is null`);
  });

  it('makes no difference in the extra_float_digits of another server version', () => {
    const settings = (created?.settings ?? []).map((one) => one.replace('digits=1', 'digits=0'));
    expect(diff(wanted, withFunctions(catalog, { settings })).differences).toEqual([]);
  });
});
