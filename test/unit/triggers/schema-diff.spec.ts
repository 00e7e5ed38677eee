import { describe, expect, it } from 'vitest';
import { generatedFunctions } from '../../../lib/triggers/generated-function.sql.js';
import type { CatalogTrigger } from '../../../lib/triggers/trigger.catalog.js';
import type { ResolvedTrigger } from '../../../lib/triggers/trigger.resolver.js';
import { createTrigger, operationTriggers } from '../../../lib/triggers/trigger.sql.js';
import { rejectionOf } from '../support/recording.js';
import { trigger } from '../support/resolved.js';
import { downs, ups } from '../support/steps.js';
import {
  EMPTY,
  OWNER,
  SERVER,
  catalogOf,
  diff,
  kinds,
  verbOf,
  withFunctions,
  withTriggers,
} from './schema-diff.fixtures.js';

const UPDATE = '"_pgpubsub_author_update"';

/** One declaration of each kind of object. */
const DECLARATIONS: [string, Partial<ResolvedTrigger>][] = [
  ['without options', {}],
  ['with truncate', { on: ['insert', 'update', 'delete', 'truncate'] }],
  ['exactly-once', { delivery: 'exactly-once', ordered: true, wake: 'poll' }],
  ['of', { of: ['name'] }],
  ['when', { when: 'NEW.active' }],
  ['columns', { columns: ['id'] }],
  ['a subquery', { when: 'exists (select)' }],
  ['per statement', { level: 'statement' }],
  ['columns and a condition per statement', { level: 'statement', columns: ['id'], when: 'NEW.active' }],
  [
    'names with quotes',
    { schema: 'a"b', table: `it's`, channel: 'C "x"', columns: ['é'], primaryKey: ['"id"'] },
  ],
];

describe('a declaration', () => {
  it.each(DECLARATIONS)('(%s) makes no difference when the database matches it', (_, given) => {
    const wanted = [trigger(given)];
    const { before, after, differences } = diff(wanted, catalogOf(wanted));
    expect({ before, after, differences }).toEqual({ before: [], after: [], differences: [] });
  });

  it.each(DECLARATIONS)('(%s) is created after the tables when it is missing, and dropped by the down migration', (_, given) => {
    const wanted = trigger(given);
    const found = diff([wanted], EMPTY);
    const functions = generatedFunctions(wanted, SERVER);
    const triggers = operationTriggers(wanted, OWNER);
    expect(found.before).toEqual([]);
    expect(found.differences.map(({ kind }) => kind)).toEqual([...functions, ...triggers].map(() => 'missing'));
    expect(ups(found.after).filter((text) => text.startsWith('create'))).toEqual([
      ...functions.map(({ create }) => create),
      ...triggers.map(createTrigger),
    ]);
    expect(downs(found.after).map((text) => text.split(' ').slice(0, 2).join(' '))).toEqual([
      ...triggers.map(() => 'drop trigger'),
      ...functions.map(() => 'drop function'),
    ]);
  }); // prettier-ignore

  it.each(DECLARATIONS)(
    '(%s) is dropped before the tables change when it is removed, and created again by the down migration',
    (_, given) => {
      const wanted = trigger(given);
      const catalog = catalogOf([wanted]);
      const found = diff([], catalog);
      expect(found.after).toEqual([]);
      expect(found.differences.map(({ kind }) => kind)).toEqual(
        [...catalog.triggers, ...catalog.functions].map(() => 'obsolete'),
      );
      expect(ups(found.before).map((text) => text.split(' ').slice(0, 2).join(' '))).toEqual([
        ...catalog.triggers.map(() => 'drop trigger'),
        ...catalog.functions.map(() => 'drop function'),
      ]);
      const back = downs(found.before);
      for (const { definition } of [...catalog.triggers, ...catalog.functions])
        expect(back).toContain(definition);
      const at = (definition: string) => back.indexOf(definition);
      for (const { definition } of catalog.functions)
        for (const one of catalog.triggers) expect(at(definition)).toBeLessThan(at(one.definition));
    },
  );
});

describe('another owner', () => {
  const theirs = 'app:"theirs"';
  const wanted = [trigger({ columns: ['id'], on: ['insert'], when: 'NEW.active' })];

  it('makes no difference when it declares the same', () => {
    const found = diff(wanted, catalogOf(wanted, theirs));
    expect([found.before, found.after, found.differences]).toEqual([[], [], []]);
  });

  it('keeps its objects when the table changes', () => {
    const { rebuilds } = diff(wanted, catalogOf(wanted, theirs));
    const after = rebuilds.flatMap((one) => ups(one.after)).join('\n');
    expect(after).toContain(`('${theirs}', `);
    expect(after).not.toContain(`'${OWNER}'`);
  });

  it('causes INVALID_TRIGGER when it declares something else for the channel', () => {
    const expected =
      `INVALID_TRIGGER: expected the trigger of the table "author" for the channel "author" to be as "${OWNER}" declares it, ` +
      `got another one, which belongs to "${theirs}". Declare the same, or give it a channel of its own; ` +
      `when "${theirs}" was the name of this application, give withPgPubSub() the option "owner".`;
    const others = catalogOf([trigger({ columns: ['id', 'name'], on: ['insert'], when: 'NEW.active' })], theirs);
    expect(rejectionOf(() => diff(wanted, others))).toBe(expected);
    expect(rejectionOf(() => diff([trigger({ on: ['insert', 'update'] })], catalogOf([trigger({ on: ['insert'] })], theirs)))).toBe(expected);
    const disabled = withTriggers(catalogOf(wanted, theirs), () => ({ enabled: 'D' }));
    expect(rejectionOf(() => diff(wanted, disabled))).toBe(expected);
  }); // prettier-ignore

  it('keeps its objects when this application does not declare them', () => {
    expect(diff([], catalogOf(wanted, theirs)).differences).toEqual([]);
  });

  it('cannot make this application drop objects of another role with a comment or an argument', () => {
    const catalog = catalogOf(wanted);
    const foreign = withFunctions(
      withTriggers(catalog, () => ({ owned: false })),
      { owned: false },
    );
    expect(diff([], foreign)).toEqual({ before: [], after: [], rebuilds: [], differences: [] });
  });

  it('is not assumed for a trigger without arguments, which is replaced', () => {
    const plain = [trigger({ on: ['insert'] })];
    const found = diff(
      plain,
      withTriggers(catalogOf(plain), () => ({ arguments: '' })),
    );
    expect(kinds(found)).toEqual(['drifted: trigger _pgpubsub_author_insert on public.author']);
    expect(
      diff(
        [],
        withTriggers(catalogOf(plain), () => ({ arguments: '' })),
      ).differences,
    ).toEqual([]);
  });
});

describe('a rebuild for a change of the table', () => {
  const rebuilt = (given: Partial<ResolvedTrigger>, change: Partial<CatalogTrigger> = {}) => {
    const wanted = [trigger({ on: ['insert', 'update'], ...given })];
    const { rebuilds } = diff(
      wanted,
      withTriggers(catalogOf(wanted), () => change),
    );
    expect(new Set(rebuilds.map(({ table }) => table))).toEqual(
      new Set(rebuilds.length === 0 ? [] : ['author']),
    );
    const before = rebuilds.flatMap((one) => one.before);
    const after = rebuilds.flatMap((one) => one.after);
    return [ups(before), ups(after), downs(after), downs(before)].map((texts) => texts.map(verbOf));
  };

  it('is not needed for a trigger that only tests for any change', () => {
    expect(rebuilt({})).toEqual([[], [], [], []]);
    expect(rebuilt({ level: 'statement' })).toEqual([[], [], [], []]);
  });

  it('drops and creates a trigger whose condition names columns, in both directions', () => {
    const [drop, create, comment] = ['drop', 'create', 'comment on'].map(
      (verb) => `${verb} trigger ${UPDATE}`,
    );
    expect(rebuilt({ of: ['name'] })).toEqual([[drop], [create, comment], [drop], [create, comment]]);
  });

  it('replaces a generated function, for sessions that have compiled it', () => {
    const all = rebuilt({ columns: ['id'] });
    expect(all.map((texts) => texts.map((text) => text.replace(/ ".*/, '')))).toEqual([
      [],
      ['create function'],
      [],
      ['create function'],
    ]);
  });

  it('checks the condition of a statement trigger again, because nothing else reads it', () => {
    expect(
      rebuilt({ level: 'statement', when: 'NEW.active' }).map((texts) =>
        texts.map((text) => text.replace(/ ".*/, '')),
      ),
    ).toEqual([[], ['create function', 'do', 'do'], [], ['create function']]);
  });

  it('keeps the mode of a trigger that always fires', () => {
    const wanted = [trigger({ on: ['update'], of: ['name'] })];
    const { rebuilds } = diff(
      wanted,
      withTriggers(catalogOf(wanted), () => ({ enabled: 'A' })),
    );
    const always = `alter table "public"."author" enable always trigger ${UPDATE}`;
    expect(ups(rebuilds[0]?.after ?? []).at(-1)).toBe(always);
    expect(downs(rebuilds[0]?.before ?? [])).toContain(always);
  });

  it('is not needed for an object that the same migration creates', () => {
    expect(diff([trigger({ columns: ['id'], when: 'NEW.active' })], EMPTY).rebuilds).toEqual([]);
    expect(diff([trigger({ level: 'statement', when: 'NEW.active' })], EMPTY).rebuilds).toEqual([]);
  });
});

describe('an error of the server in a migration', () => {
  it('becomes an error that names the declaration when it has a condition', () => {
    const { after } = diff([trigger({ on: ['insert'], when: 'NEW.nope' })], EMPTY);
    expect(after[0]?.refused?.(new Error('column new.nope does not exist')).message).toBe(
      '@NotifyChanges() on Author: expected "when" to be a condition over OLD and NEW that fits the table "author", ' +
        'got: column new.nope does not exist. Correct the declaration.',
    );
    expect(diff([trigger({ on: ['insert'] })], EMPTY).after[0]?.refused).toBeUndefined();
  });
});
