import { describe, expect, it } from 'vitest';
import { PgPubSubError, messageOf } from '../../../lib/common/errors.js';
import { commentOf } from '../../../lib/triggers/owner.js';
import type { Step } from '../../../lib/common/step.js';
import { ANY_CHANGE, PRINTED_ANY_CHANGE } from '../../../lib/triggers/condition.js';
import { generatedFunctions } from '../../../lib/triggers/generated-function.sql.js';
import { diffSchema, type SchemaDiff } from '../../../lib/triggers/schema-diff.js';
import type { Catalog, CatalogFunction, CatalogTrigger } from '../../../lib/triggers/trigger.catalog.js';
import type { ResolvedTrigger } from '../../../lib/triggers/trigger.resolver.js';
import {
  createTrigger,
  operationTriggers,
  type OperationTrigger,
} from '../../../lib/triggers/trigger.sql.js';
import { trigger } from '../support/resolved.js';

const OWNER = 'public.migrations';
const SERVER = 180_000;
const ROW_BIT = 1;
const BITS = { insert: 4, delete: 8, update: 16, truncate: 32 };

/** Returns the row of the catalog for a created trigger. */
function inCatalog(one: OperationTrigger): CatalogTrigger {
  const { schema, table, name, operation, perRow, condition } = one;
  return {
    schema, table, name,
    function_name: one.functionName,
    function_schema: one.functionSchema,
    type: BITS[operation] + (perRow ? ROW_BIT : 0),
    enabled: 'O',
    old_table: one.oldTable,
    new_table: one.newTable,
    plain: true,
    condition: condition === undefined ? null : condition === ANY_CHANGE ? PRINTED_ANY_CHANGE : `(as PostgreSQL writes ${condition})`,
    arguments: Buffer.from(one.arguments.map((text) => `${text}\0`).join('')).toString('hex'),
    definition: createTrigger(one),
    comment: one.comment,
    owned: true,
  };
} // prettier-ignore

/** Returns the catalog after the migrations of the declarations. */
function catalogOf(wanted: readonly ResolvedTrigger[], owner = OWNER): Catalog {
  return {
    serverVersion: SERVER,
    triggers: wanted.flatMap((one) => operationTriggers(one, owner)).map(inCatalog),
    functions: wanted.flatMap((one) => generatedFunctions(one, SERVER)).map((one) => ({
      schema: one.schema,
      name: one.name,
      body: one.body,
      settings: one.settings,
      plain: true,
      identity: one.identity,
      definition: one.create,
      comment: commentOf(owner),
      owned: true,
      trusted: true,
    })),
  }; // prettier-ignore
}

const withTriggers = (
  catalog: Catalog,
  change: (one: CatalogTrigger) => Partial<CatalogTrigger>,
): Catalog => ({
  ...catalog,
  triggers: catalog.triggers.map((one) => ({ ...one, ...change(one) })),
});
const withFunctions = (catalog: Catalog, given: Partial<CatalogFunction>): Catalog => ({
  ...catalog,
  functions: catalog.functions.map((one) => ({ ...one, ...given })),
});

const EMPTY = catalogOf([]);
const diff = (wanted: readonly ResolvedTrigger[], catalog: Catalog): SchemaDiff =>
  diffSchema(wanted, catalog, OWNER);

const verbOf = (text: string) =>
  text.startsWith('do')
    ? 'do'
    : text
        .replaceAll('\n', ' ')
        .replace(/ (?:or replace )?(function|trigger) ("\S+").*$/, ' $1 $2')
        .replace(/ is .*$/, '');
const ups = (steps: readonly Step[]) => steps.flatMap(({ up }) => up ?? []);
const downs = (steps: readonly Step[]) => steps.toReversed().flatMap(({ down }) => down ?? []);
const kinds = ({ differences }: SchemaDiff) => differences.map(({ kind, object }) => `${kind}: ${object}`);
const INSERT = '"_pgpubsub_author_insert"';
const UPDATE = '"_pgpubsub_author_update"';
const ON = 'on "public"."author"';

function rejectionOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return `${error instanceof PgPubSubError ? error.code : ''}: ${messageOf(error)}`;
  }
  return 'nothing was rejected';
}

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

function hex(...texts: string[]): string {
  return Buffer.from(texts.map((text) => `${text}\0`).join('')).toString('hex');
}

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
