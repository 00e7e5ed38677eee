import {
  ChildEntity,
  Column,
  Entity,
  EntitySchema,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  TableInheritance,
  ViewEntity,
  VirtualColumn,
} from 'typeorm';
import { describe, expect, it } from 'vitest';
import { NotifyChanges, defineChannel, type NotifyChangesOptions } from 'nestjs-pgpubsub';
import { messageOf } from '../../../lib/common/errors.js';
import { completed } from '../../../lib/triggers/trigger.completion.js';
import { resolved, trigger, type Entities } from '../support/resolved.js';

const NOT_SPATIAL = { geometries: [], geographies: [], spatial_arrays: [] };
const server = (version: number) => ({ version, postgis: undefined });

class Address {
  @Column('text') street!: string;
  @Column('text', { name: 'postal_code' }) code!: string;
  @Column('text', { select: false }) door!: string;
}

/** An entity with every kind of property that a declaration can name. */
function author(...declarations: NotifyChangesOptions[]) {
  @Entity('author')
  class Author {
    @PrimaryGeneratedColumn() id!: number;
    @Column('text', { name: 'full_name' }) name!: string;
    @Column('text', { select: false }) password!: string;
    @Column(() => Address) address!: Address;
    @ManyToOne(() => Author) editor!: unknown;
    @VirtualColumn({ query: (alias) => `select count(*) from post where author = ${alias}.id` })
    posts!: number;
  }
  for (const options of declarations) NotifyChanges(options)(Author);
  return Author;
}

const only = async (entities: Entities) => (await resolved(entities))[0];
const rejectionOf = (entities: Entities, ...declared: object[]): Promise<string> =>
  resolved(entities, declared as never).then(() => 'nothing was rejected', messageOf);

describe('a declaration without options', () => {
  it('resolves to a row trigger for three operations with all columns on the channel of the table', async () => {
    @Entity('post')
    @NotifyChanges()
    class Post {
      @PrimaryColumn('text') slug!: string;
      @PrimaryColumn('int', { name: 'blog_id' }) blog!: number;
    }
    expect(await resolved([Post])).toEqual([
      trigger({
        what: '@NotifyChanges() on Post',
        table: 'post',
        channel: 'post',
        primaryKey: ['slug', 'blog_id'],
        storageSchema: 'storage',
        target: Post,
      }),
    ]);
  });
});

describe('the operations of a declaration', () => {
  it.each<[NonNullable<NotifyChangesOptions['on']>, string[]]>([
    ['insert', ['insert']],
    [
      ['truncate', 'delete', 'insert', 'delete'],
      ['insert', 'delete', 'truncate'],
    ],
  ])('%j are resolved to %j, without duplicates and in a fixed order', async (on, expected) => {
    expect((await only([author({ on })]))?.on).toEqual(expected);
  });
});

describe('the columns of a declaration', () => {
  const all = ['id', 'full_name', 'editorId', 'addressStreet', 'addressPostal_code'];

  it('are all columns except those with select: false by default', async () => {
    const found = await only([author({})]);
    expect(found?.columns).toEqual(all);
    expect(found?.exclude).toEqual(['password', 'addressDoor']);
  });

  it.each<[NotifyChangesOptions, string[]]>([
    [{ columns: ['id', 'name'] }, ['id', 'full_name']],
    [{ columns: ['password'] }, ['password']],
    [{ columns: ['editor'] }, ['editorId']],
    [{ columns: ['address'] }, ['addressStreet', 'addressPostal_code']],
    [{ columns: ['address.door', 'address.code'] }, ['addressDoor', 'addressPostal_code']],
    [{ exclude: ['name'] }, all.filter((column) => column !== 'full_name')],
    [{ exclude: ['address', 'editor'] }, ['id', 'full_name']],
    [{ exclude: ['password'] }, all],
  ])('with %j are resolved to %j', async (options, expected) => {
    expect((await only([author(options)]))?.columns).toEqual(expected);
  });

  it('are undefined, which means all columns of the table, for an entity without hidden columns', async () => {
    @Entity('post')
    @NotifyChanges({ of: ['title'] })
    class Post {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text', { name: 'Title' }) title!: string;
    }
    expect(await only([Post])).toMatchObject({ columns: undefined, exclude: [], of: ['Title'] });
  });

  it('are completed from the catalog for a table that TypeORM does not know', async () => {
    const [found] = await resolved([], [{ table: 'log', exclude: ['secret'], primaryKey: ['id'] }]);
    expect(found).toMatchObject({ columns: undefined, exclude: ['secret'], primaryKey: ['id'] });
    const catalog = {
      name: '"public"."log"',
      partitioned: false,
      partition: false,
      columns: ['id', 'secret', 'text'],
      primary_key: ['id'],
      virtual: [],
      ...NOT_SPATIAL,
    };
    const bare = trigger({ exclude: ['secret'] });
    expect(completed(bare, catalog, server(180_000)).columns).toEqual(['id', 'text']);
    expect(completed(trigger(), catalog, server(180_000))).toEqual(trigger());
  });

  it('are compared one by one for a partitioned table before PostgreSQL 13', () => {
    const catalog = {
      name: '"public"."author"',
      partitioned: true,
      partition: false,
      columns: ['id', 'name'],
      primary_key: ['id'],
      virtual: [],
      ...NOT_SPATIAL,
    };
    expect(completed(trigger(), catalog, server(120_000)).of).toEqual(['id', 'name']);
    expect(completed(trigger({ of: ['name'] }), catalog, server(120_000)).of).toEqual(['name']);
    expect(completed(trigger(), catalog, server(130_000)).of).toEqual([]);
  });
});

describe('the default channel', () => {
  it.each([
    ['public', undefined, 'author'],
    ['public', 'public', 'author'],
    ['public', 'audit', 'audit.author'],
    ['app', undefined, 'author'],
    ['app', 'app', 'author'],
    ['app', 'public', 'public.author'],
  ])(
    'for a DataSource with the schema %s and a table in the schema %s is %s',
    async (schema, own, expected) => {
      @Entity({ name: 'author', ...(own && { schema: own }) })
      @NotifyChanges()
      class Author {
        @PrimaryGeneratedColumn() id!: number;
      }
      const [found] = await resolved([Author], [], { schema });
      expect(found).toMatchObject({ channel: expected, schema: own ?? schema });
      const [listed] = await resolved([], [{ table: 'author', ...(own && { schema: own }) }], { schema });
      expect(listed?.channel).toBe(expected);
    },
  );

  it('has at most 63 bytes including the schema, because the server rejects a longer name', async () => {
    const table = 'é'.repeat(28); // 56 bytes
    expect((await resolved([], [{ table, schema: 'public' }]))[0]?.channel).toBe(table);
    expect((await resolved([], [{ table, schema: 'sixbyt' }]))[0]?.channel).toBe(`sixbyt.${table}`);
    expect(await rejectionOf([], { table, schema: 'sevenby' })).toBe(
      `the table "${table}": expected a channel of its own for "sevenby.${table}", whose name has more than 63 bytes, ` +
        'got none: give it "channel". Correct the declaration.',
    );
    const named = { table, schema: 'sevenby', channel: 'short' };
    expect((await resolved([], [named]))[0]?.channel).toBe('short');
  });
});

describe('the option "channel"', () => {
  it('accepts any name, and the delivery of a definition', async () => {
    const Changed = defineChannel('changed', { delivery: 'exactly-once', ordered: true, wake: 'poll' });
    expect(await only([author({ channel: Changed })])).toMatchObject({
      channel: 'changed',
      delivery: 'exactly-once',
      ordered: true,
      wake: 'poll',
      definition: Changed,
    });
    expect(await only([author({ channel: 'Ein Name: é' })])).toMatchObject({
      channel: 'Ein Name: é',
      delivery: 'broadcast',
      definition: undefined,
    });
  });

  it('rejects options that contradict its definition', async () => {
    const Changed = defineChannel('changed', { delivery: 'exactly-once', retry: { maxAttempts: 3 } });
    const declared = (options: NotifyChangesOptions) => rejectionOf([author({ channel: Changed, ...options })]);
    expect(await declared({ delivery: 'exactly-once', retry: { maxAttempts: 3 } })).toBe('nothing was rejected');
    expect(await declared({ delivery: 'broadcast' })).toContain(
      'expected "delivery" to be that of the channel "changed" ("exactly-once"), got "broadcast"',
    );
    expect(await declared({ retry: { maxAttempts: 4 } })).toContain('expected "retry" to be that of the channel');
    expect(await declared({ deadLetters: { keepMs: 5 } })).toContain('expected "deadLetters" to be that of the channel "changed" (none), got {"keepMs":5}');
    expect(await declared({ timeoutMs: 5 })).toContain('expected "timeoutMs" to be that of the channel "changed" (none), got 5');
  }); // prettier-ignore
});

describe('an invalid declaration', () => {
  it.each<[string, NotifyChangesOptions, string]>([
    ['"of" without updates', { of: ['name'], on: ['insert', 'delete'] }, 'expected "of" together with the operation update, got it for insert, delete'],
    ['"of" a computed property', { of: ['posts'] }, 'expected properties with a column in the table, got "posts", which is computed by a query'],
    ['"of" an unknown property', { of: ['full_name'] }, 'got "full_name"'],
    ['"columns" with a computed property', { columns: ['posts'] }, 'got "posts", which is computed by a query'],
    ['"exclude" of an unknown property', { exclude: ['nope'] }, 'got "nope"'],
    ['"when" of TRUNCATE', { when: 'NEW.id > 1', on: 'truncate' }, 'expected "when" together with operations on rows, got it for truncate'],
    ['"columns" and "exclude"', { columns: ['id'], exclude: ['name'] }, 'expected "columns" or "exclude", got both'],
    ['no column', { columns: [] }, 'expected at least one column that the notification carries, got none: name those that it carries in "columns", or leave "columns" out to carry all'],
    ['every column in "exclude"', { exclude: ['id', 'name', 'editor', 'address', 'password'] }, 'expected at least one column that the notification carries, got none'],
    ['"ordered" for broadcasts', { ordered: true }, `expected "ordered" for exactly-once channels only, got it for broadcast. Add delivery: 'exactly-once', or remove "ordered".`],
    ['"wake" for broadcasts', { wake: 'poll', pollIntervalMs: 5 }, 'expected "wake" for exactly-once channels only, got it for broadcast'],
    ['"retry" for broadcasts', { retry: { maxAttempts: 5 } }, 'expected "retry" for exactly-once channels only, got it for broadcast'],
    ['"pollIntervalMs" of a channel that NOTIFY wakes', { delivery: 'exactly-once', pollIntervalMs: 5 }, `expected "pollIntervalMs" together with wake: 'poll', got it without`],
    ['an empty "when"', { when: '' }, 'to be a string that is not empty'],
  ])('(%s) is rejected', async (_, options, expected) => {
    const message = await rejectionOf([author(options)]);
    expect(message).toContain('@NotifyChanges() on Author');
    expect(message).toContain(expected);
  }); // prettier-ignore

  it('(a view) is rejected', async () => {
    @ViewEntity({ expression: 'select 1 as id' })
    @NotifyChanges()
    class Authors {
      id!: number;
    }
    expect(await rejectionOf([Authors])).toContain(
      '@NotifyChanges() on Authors: expected a table, got a view',
    );
  });

  it('(ordered without a primary key) is rejected', async () => {
    const options = { table: 'log', delivery: 'exactly-once', ordered: true };
    expect(await rejectionOf([], options)).toContain(
      'expected a primary key, because the channel is ordered',
    );
    expect(await rejectionOf([], { ...options, primaryKey: ['id'] })).toBe('nothing was rejected');
  });

  it('(two for one table and channel) is rejected', async () => {
    const expected = 'expected one declaration for the table "author" and the channel "author", got two';
    expect(await rejectionOf([author({}, { channel: 'author', on: 'insert' })])).toContain(expected);
    expect(await rejectionOf([author({})], { table: 'author' })).toContain(expected);
    expect(await rejectionOf([author({}, { channel: 'other' })], { table: 'post' })).toBe(
      'nothing was rejected',
    );
  });
});

describe('single table inheritance', () => {
  @Entity('content')
  @TableInheritance({ column: { type: 'text', name: 'kind' } })
  class Content {
    @PrimaryGeneratedColumn() id!: number;
  }
  @ChildEntity('image')
  class Image extends Content {
    @Column('int', { nullable: true }) width!: number;
  }
  @ChildEntity("photographer's")
  class Photo extends Image {}
  @ChildEntity()
  class Text extends Content {}
  const entities = [Content, Image, Photo, Text];

  const declaredOn = (entity: object) => resolved(entities, [{ entity: entity as never }]);

  it('has no discriminator for the parent, which includes all rows of the table', async () => {
    expect((await declaredOn(Content))[0]).toMatchObject({ table: 'content', discriminator: undefined });
  });

  it('has the discriminators of a child and its children', async () => {
    const [found] = await declaredOn(Image);
    expect(found?.discriminator).toEqual({ column: 'kind', values: ['image', "photographer's"] });
    expect((await declaredOn(Photo))[0]?.discriminator?.values).toEqual(["photographer's"]);
    expect((await declaredOn(Text))[0]?.discriminator?.values).toEqual(['Text']);
  });

  it('does not repeat the declaration of the parent for its children', async () => {
    @Entity('letter')
    @TableInheritance({ column: { type: 'text', name: 'kind' } })
    @NotifyChanges()
    class Letter {
      @PrimaryGeneratedColumn() id!: number;
    }
    @ChildEntity('bill')
    @NotifyChanges({ channel: 'bills' })
    class Bill extends Letter {}
    const found = await resolved([Letter, Bill]);
    expect(found.map(({ channel, discriminator }) => [channel, discriminator?.values])).toEqual([
      ['letter', undefined],
      ['bills', ['bill']],
    ]);
  });
});

describe('classes that extend a declared class', () => {
  it('inherit the declaration for their own tables', async () => {
    @NotifyChanges({ on: 'delete' })
    abstract class Base {
      @PrimaryGeneratedColumn() id!: number;
    }
    @Entity('a')
    class A extends Base {}
    @Entity('b')
    @NotifyChanges({ channel: 'b_too' })
    class B extends A {}
    expect((await resolved([A, B])).map(({ table, channel, on }) => `${table} ${channel} ${on[0]}`)).toEqual([
      'a a delete',
      'b b_too insert',
      'b b delete',
    ]);
  });

  it('are not needed for an EntitySchema, which the list of declarations names', async () => {
    const Tag = new EntitySchema({
      name: 'Tag',
      tableName: 'tags',
      columns: { id: { type: 'int', primary: true }, label: { type: 'text', name: 'Label' } },
    });
    const [found] = await resolved([Tag], [{ entity: Tag, of: ['label'] }]);
    expect(found).toMatchObject({ what: '@NotifyChanges() on Tag', table: 'tags', of: ['Label'] });
    const [byTable] = await resolved([Tag], [{ table: 'tags', of: ['label'] }]);
    expect(byTable).toMatchObject({ of: ['Label'], primaryKey: ['id'] });
  });
});
