import {
  ChildEntity,
  Column,
  Entity,
  EntitySchema,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  TableInheritance,
} from 'typeorm';
import { describe, expect, it } from 'vitest';
import { NotifyChanges, type NotifyChangesOptions } from 'nestjs-pgpubsub';
import { completed } from '../../../lib/triggers/trigger.completion.js';
import { resolved, trigger } from '../support/resolved.js';
import { author, firstOf } from './trigger.resolver.fixtures.js';

const NOT_SPATIAL = { geometries: [], geographies: [], spatial_arrays: [] };
const server = (version: number) => ({ version, postgis: undefined });

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
    expect((await firstOf([author({ on })]))?.on).toEqual(expected);
  });
});

describe('the columns of a declaration', () => {
  const all = ['id', 'full_name', 'editorId', 'addressStreet', 'addressPostal_code'];

  it('are all columns except those with select: false by default', async () => {
    const found = await firstOf([author({})]);
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
    expect((await firstOf([author(options)]))?.columns).toEqual(expected);
  });

  it('are undefined, which means all columns of the table, for an entity without hidden columns', async () => {
    @Entity('post')
    @NotifyChanges({ of: ['title'] })
    class Post {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text', { name: 'Title' }) title!: string;
    }
    expect(await firstOf([Post])).toMatchObject({ columns: undefined, exclude: [], of: ['Title'] });
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
