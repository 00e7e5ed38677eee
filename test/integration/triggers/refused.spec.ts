import {
  ChildEntity,
  DataSource,
  Entity,
  PrimaryGeneratedColumn,
  TableInheritance,
  ViewEntity,
  type DataSourceOptions,
} from 'typeorm';
import { describe, expect, it } from 'vitest';
import { NotifyChanges, withPgPubSub, type NotifyChangesOptions } from 'nestjs-pgpubsub';
import { LEVELS, author, errorOf, generate, run, useMigrations } from '../../support/migrations.js';

const { connect, objects } = useMigrations();

type Rejection = Error & { code?: unknown };
const rejectionOf = (promise: Promise<unknown>): Promise<Rejection> =>
  promise.then(
    () => new Error('nothing was rejected'),
    (error: Rejection) => error,
  );

describe('an invalid declaration', () => {
  it.each<[string, NotifyChangesOptions, string]>([
    ['an unknown property in "columns"', { columns: ['id', 'nope'] }, 'INVALID_TRIGGER: @NotifyChanges() on Author: expected properties of the entity (id, name, bio, active), got "nope". Correct the declaration.'],
    ['an unknown property in "of"', { of: ['nope'] }, 'INVALID_TRIGGER: @NotifyChanges() on Author: expected properties of the entity (id, name, bio, active), got "nope". Correct the declaration.'],
    ['an unknown operation', { on: 'upsert' as never }, 'INVALID_TRIGGER: expected the option "on" of @NotifyChanges() on Author to be '],
    ['no operation', { on: [] }, 'INVALID_TRIGGER: expected the option "on" of @NotifyChanges() on Author to be '],
    ['an unknown option', { table: 'x' } as never, 'INVALID_TRIGGER: expected only known options for @NotifyChanges() on Author: '],
    ['an unknown level', { level: 'table' as never }, 'INVALID_TRIGGER: expected the option "level" of @NotifyChanges() on Author to be '],
    ['an empty condition', { when: '' }, 'INVALID_TRIGGER: expected the option "when" of @NotifyChanges() on Author to be '],
    ['the end of the function in "when"', { when: `NEW.name = '$pgpubsub$'` }, 'INVALID_TRIGGER: @NotifyChanges() on Author: expected "when" without $pgpubsub$'],
    ['a channel name of 64 bytes', { channel: `${'x'.repeat(62)}é` }, 'INVALID_CHANNEL: '],
    ['an empty channel name', { channel: '' }, 'INVALID_CHANNEL: '],
  ])('is rejected before anything is read or written: %s', async (_, options, expected) => {
    const source = await connect([author(options)]);
    expect((await errorOf(() => generate(source))).slice(0, expected.length)).toBe(expected);
    expect((await errorOf(() => source.synchronize())).slice(0, expected.length)).toBe(expected);
    expect(await objects()).toEqual({ triggers: [], functions: [] });
  }); // prettier-ignore

  it('is rejected as the second one for a table and a channel', async () => {
    const source = await connect([author({}, { channel: 'author', on: 'insert' })]);
    expect(await errorOf(() => generate(source))).toBe(
      'INVALID_TRIGGER: expected one declaration for the table "author" and the channel "author", got two. ' +
        'Give one of them a channel of its own, or combine them with several operations in "on".',
    );
  });

  it('is rejected when a parent and its child in one table, or an entity and the list, declare one channel', async () => {
    @Entity()
    @TableInheritance({ column: { type: 'text', name: 'kind' } })
    @NotifyChanges()
    class Content {
      @PrimaryGeneratedColumn() id!: number;
    }
    @ChildEntity()
    @NotifyChanges()
    class Photo extends Content {}
    const inherited = await connect([Content, Photo]);
    expect(await errorOf(() => generate(inherited))).toMatch(/^INVALID_TRIGGER: expected one declaration/);
    const listed = await connect([author({})], { triggers: [{ table: 'author' }] });
    expect(await errorOf(() => generate(listed))).toMatch(/^INVALID_TRIGGER: expected one declaration/);
  });

  it('is rejected on a view', async () => {
    @ViewEntity({ expression: 'select 1 as id' })
    @NotifyChanges()
    class Authors {
      id!: number;
    }
    const source = await connect([Authors]);
    expect(await errorOf(() => generate(source))).toBe(
      'INVALID_TRIGGER: @NotifyChanges() on Authors: expected a table, got a view: triggers of views see no changes. ' +
        'Declare it on the tables beneath. Correct the declaration.',
    );
  });

  it('is rejected for a DataSource of another database', async () => {
    const options = { type: 'mysql', driver: {} } as unknown as DataSourceOptions;
    expect(await errorOf(() => withPgPubSub(new DataSource(options)))).toBe(
      'DATA_SOURCE_UNUSABLE: withPgPubSub(): expected a DataSource of type "postgres", got "mysql". ' +
        'Leave it as it is: only PostgreSQL notifies.',
    );
  });

  it.each(LEVELS)('fails when it is applied with an invalid condition, at level "%s"', async (level) => {
    const expectRefused = async (when: string, reason: RegExp) => {
      const source = await connect([author({ when, level })]);
      const sentence = (what: string) =>
        `${what}: expected "when" to be a condition over OLD and NEW that fits the table "author", got: `;
      const { up } = await generate(source);
      const error = await rejectionOf(run(source, up));
      expect(error.message).toMatch(reason);
      const refused = await rejectionOf(source.synchronize());
      expect(refused).toMatchObject({ code: 'INVALID_TRIGGER', message: `${sentence('@NotifyChanges() on Author')}${error.message}. Correct the declaration.` });
      expect(refused.cause).toMatchObject({ code: error.code, message: error.message });
      expect(await objects()).toEqual({ triggers: [], functions: [] });
      await source.destroy();
    };
    await expectRefused('NEW.active and', /syntax error|mismatched parentheses/);
    await expectRefused('NEW.active -- always', /syntax error|mismatched parentheses/);
    await expectRefused('NEW.active; drop table author', /syntax error|mismatched parentheses/);
    await expectRefused('NEW.nope', /column new.nope does not exist/);
    await expectRefused('nope', /column "nope" does not exist/);
    await expectRefused('active', /ambiguous|does not exist/);
    await expectRefused('NEW.name', /boolean/);
    await expectRefused('missing(NEW.id)', /function missing/);
    await expectRefused(`NEW.id > 'many'`, /invalid input syntax/);
    await expectRefused('count(NEW.id) > 1', /aggregate/);
  }); // prettier-ignore

  it('is rejected for a table or an entity that does not exist', async () => {
    const unknownEntity = await connect([], { triggers: [{ entity: 'Nobody' }] });
    expect(await errorOf(() => generate(unknownEntity))).toContain('Nobody');
    const unknownTable = await connect([], { triggers: [{ table: 'nobody' }] });
    await expect(run(unknownTable, (await generate(unknownTable)).up)).rejects.toThrow('"public.nobody"');
  });
});
