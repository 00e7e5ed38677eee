import {
  ChildEntity,
  Column,
  DefaultNamingStrategy,
  Entity,
  EntitySchema,
  JoinTable,
  ManyToMany,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  TableInheritance,
} from 'typeorm';
import { describe, expect, it } from 'vitest';
import { NotifyChanges } from 'nestjs-pgpubsub';
import { DROPPED, LEVELS, verbs, useMigrations } from '../../support/migrations.js';
import { rowsOf, type Sent } from '../../support/sent.js';

const { connect, migrate, migrateTo, objects, query, sentBy } = useMigrations();

describe('a migration for entities', () => {
  it('creates one trigger for single table inheritance that is declared on the parent', async () => {
    @Entity()
    @TableInheritance({ column: { type: 'text', name: 'kind' } })
    @NotifyChanges()
    class Content {
      @PrimaryGeneratedColumn() id!: number;
    }
    @ChildEntity('photo')
    class Photo extends Content {
      @Column('text', { nullable: true }) size!: string;
      @Column('text', { nullable: true, select: false }) location!: string;
    }
    @ChildEntity("author's note")
    class Note extends Content {
      @Column('text', { nullable: true }) text!: string;
    }
    const source = await connect([Content, Photo, Note]);
    await migrate(source);
    expect((await objects()).triggers.length).toBe(3);
    const sent = await sentBy('content', async () => {
      await source.getRepository(Photo).save({ size: 'big', location: 'secret' });
      await source.getRepository(Note).save({ text: 'hello' });
    });
    expect(rowsOf(sent)).toEqual([
      { id: 1, kind: 'photo', size: 'big', text: null },
      { id: 2, kind: "author's note", size: null, text: 'hello' },
    ]);
  });

  it.each(LEVELS)('creates a trigger for the rows of a child in single table inheritance, at level "%s"', async (level) => {
    @Entity()
    @TableInheritance({ column: { type: 'text', name: 'Kind of' } })
    abstract class Content {
      @PrimaryGeneratedColumn() id!: number;
    }
    @ChildEntity('photo')
    class Photo extends Content {
      @Column('text', { nullable: true }) size!: string;
    }
    @ChildEntity("author's note")
    @NotifyChanges({ channel: 'notes', columns: ['id', 'text'], level })
    class Note extends Content {
      @Column('text', { nullable: true }) text!: string;
    }
    @ChildEntity('letter')
    class Letter extends Note {}
    const source = await connect([Content, Photo, Note, Letter]);
    await migrate(source);
    expect((await objects()).functions.length).toBe(1);
    const sent = await sentBy('notes', async () => {
      await source.getRepository(Photo).save({ size: 'big' });
      await source.getRepository(Note).save({ text: 'hello' });
      await source.getRepository(Letter).save({ text: 'dear' });
      await source.query('delete from content');
    });
    expect(sent.map(({ operation, old, new: row }) => [operation, (row ?? old)?.['text']])).toEqual([
      ['insert', 'hello'], ['insert', 'dear'], ['delete', 'hello'], ['delete', 'dear'],
    ]);
  }); // prettier-ignore

  it('creates a trigger for each table whose entity extends an abstract class with a declaration', async () => {
    @NotifyChanges({ channel: 'audit', on: 'insert' })
    abstract class Audited {
      @PrimaryGeneratedColumn() id!: number;
    }
    @Entity()
    class Order extends Audited {}
    @Entity()
    class Invoice extends Audited {}
    const source = await connect([Order, Invoice]);
    await migrate(source);
    const sent = await sentBy('audit', async () => {
      await source.getRepository(Order).save({});
      await source.getRepository(Invoice).save({});
    });
    expect(sent.map(({ table }) => table)).toEqual(['order', 'invoice']);
  });

  it('supports embedded columns, custom column names and a naming strategy', async () => {
    class Snake extends DefaultNamingStrategy {
      override tableName(target: string, given: string | undefined): string {
        return given ?? snake(target);
      }
      override columnName(property: string, given: string | undefined, prefixes: string[]): string {
        return snake([...prefixes, given ?? property].join('_'));
      }
    }
    const snake = (text: string) => text.replaceAll(/(?<=[a-z])([A-Z])/g, '_$1').toLowerCase();
    class Street {
      @Column('text') streetName!: string;
      @Column('integer', { name: 'NUMBER' }) houseNumber!: number;
    }
    class Address {
      @Column(() => Street) street!: Street;
      @Column('text', { select: false }) doorCode!: string;
    }
    @Entity()
    @NotifyChanges({ channel: 'all' })
    @NotifyChanges({
      channel: 'moved',
      columns: ['fullName', 'homeAddress.street'],
      of: ['homeAddress.street.streetName', 'homeAddress.doorCode'],
    })
    class TheAuthor {
      @PrimaryGeneratedColumn() id!: number;
      @Column('text') fullName!: string;
      @Column(() => Address) homeAddress!: Address;
    }
    const source = await connect([TheAuthor], { dataSource: { namingStrategy: new Snake() } });
    await migrate(source);
    const moved: Sent[] = [];
    const all = await sentBy('all', async () => {
      const act = async () => {
        await source.query(
          `insert into the_author (full_name, home_address_street_street_name, home_address_street_number, home_address_door_code) values ('a', 'b', 1, '007')`,
        );
        await source.query(`update the_author set full_name = 'A'`);
        await source.query(`update the_author set home_address_door_code = '008'`);
      };
      moved.push(...(await sentBy('moved', act)));
    });
    const street = { home_address_street_street_name: 'b', home_address_street_number: 1 };
    expect(rowsOf(all).at(-1)).toEqual({ id: 1, full_name: 'A', ...street });
    expect(rowsOf(moved)).toEqual([{ full_name: 'a', ...street }, { full_name: 'A', ...street }]);
  }); // prettier-ignore

  it.each(LEVELS)('supports other schemas, and names that need quoting (%s)', async (level) => {
    await query(`create schema "My Schema"; create schema lesser`);
    const channel = `it's a \\ \${channel} \`of\` $1 ours`;
    @Entity({ name: `Täble of x \\ $pgpubsub$`, schema: 'My Schema' })
    @NotifyChanges({ channel, level, of: ['select'], columns: ['id', 'select'] })
    class Odd {
      @PrimaryColumn('integer', { name: 'The Id' }) id!: number;
      @Column('text', { name: `sel'ect $$ \\` }) select!: string;
    }
    @Entity()
    @NotifyChanges({ level })
    class Plain {
      @PrimaryColumn('integer') id!: number;
    }
    const source = await connect([Odd, Plain], { dataSource: { schema: 'lesser' } });
    await migrate(source);
    expect((await objects()).functions).toEqual([
      'My Schema: pgpubsub_t_ble_of_x_pgpubsub_it_s_a_channel_of_1_',
    ]);
    const sent = await sentBy(channel, async () => {
      await source.getRepository(Odd).insert({ id: 1, select: 'a' });
      await source.getRepository(Odd).update({ id: 1 }, { select: 'b' });
    });
    expect(rowsOf(sent)).toEqual([
      { 'The Id': 1, [`sel'ect $$ \\`]: 'a' },
      { 'The Id': 1, [`sel'ect $$ \\`]: 'b' },
    ]);
    expect(sent[0]?.table).toBe(`Täble of x \\ $pgpubsub$`);
    const plain = await sentBy('plain', () => source.getRepository(Plain).insert({ id: 1 }));
    expect(rowsOf(plain)).toEqual([{ id: 1 }]);
  });

  it('supports names of the maximal length that differ only at their ends', async () => {
    const long = 'a'.repeat(59);
    @Entity(`${long}_one`)
    @NotifyChanges({ on: ['insert', 'truncate'], level: 'statement' })
    class One {
      @PrimaryColumn('integer') id!: number;
    }
    @Entity(`${long}_two`)
    @NotifyChanges({ on: ['insert', 'truncate'], level: 'statement' })
    class Two {
      @PrimaryColumn('integer') id!: number;
    }
    const source = await connect([One, Two]);
    await migrate(source);
    expect((await objects()).triggers.length).toBe(4);
    const sent = await sentBy(`${long}_two`, () => source.getRepository(Two).insert({ id: 1 }));
    expect(rowsOf(sent)).toEqual([{ id: 1 }]);
  });

  it('supports columns with the names that trigger functions use', async () => {
    const names = ['key', 'columns', 'old', 'new', 'kept', 'text', 'changed', 'name', 'before', 'after'];
    const filler = Array.from({ length: 45 }, (_, index) => `filler_${index}`);
    const columns = [...names, ...filler];
    const fields = columns.slice(1).map((name) => [name, { type: 'text', nullable: true } as const]);
    const Setting = new EntitySchema<{ key: string; text: string }>({
      name: 'Setting',
      tableName: 'setting',
      columns: { key: { type: 'text', primary: true }, ...(Object.fromEntries(fields) as object) } as never,
    });
    const triggers = LEVELS.flatMap((level) => [
      { entity: Setting, level, channel: `all_${level}` },
      { entity: Setting, level, channel: `some_${level}`, columns },
    ]);
    await migrate(await connect([Setting], { triggers }));
    for (const { channel } of triggers) {
      const sent = await sentBy(channel, async () => {
        await query(`insert into setting (key, columns) values ('a', 'b')`);
        await query(`update setting set text = repeat('x', 9000)`);
        await query('delete from setting');
      });
      expect(sent.map(({ truncated, old, new: row }) => [truncated, old?.['key'], row?.['key']])).toEqual([
        [undefined, undefined, 'a'],
        [true, 'a', 'a'],
        [true, 'a', undefined],
      ]);
      expect(sent[0]?.new).toMatchObject({ key: 'a', columns: 'b', old: null, filler_44: null });
    }
  });

  it('supports EntitySchema entities in the list of withPgPubSub()', async () => {
    const Book = new EntitySchema<{ id: number; title: string; secret: string }>({
      name: 'Book',
      tableName: 'books',
      columns: {
        id: { type: Number, primary: true, generated: true },
        title: { type: 'text', name: 'the_title' },
        secret: { type: 'text', select: false, default: 'x' },
      },
    });
    const triggers = [
      { entity: Book },
      { entity: 'Book', channel: 'titles', columns: ['title'], of: ['title'] },
    ];
    const source = await connect([Book], { triggers });
    await migrate(source);
    const titles: Sent[] = [];
    const books = await sentBy('books', async () => {
      titles.push(
        ...(await sentBy('titles', () => source.query(`insert into books (the_title) values ('a')`))),
      );
    });
    expect([rowsOf(books), rowsOf(titles)]).toEqual([[{ id: 1, the_title: 'a' }], [{ the_title: 'a' }]]);
    await source.destroy();
    expect(verbs((await migrateTo([Book])).up)).toEqual([...DROPPED, ...DROPPED, 'drop function', 'drop function']);
  }); // prettier-ignore

  it('supports join tables, and tables that TypeORM does not know', async () => {
    @Entity()
    class Tag {
      @PrimaryGeneratedColumn() id!: number;
    }
    @Entity()
    class Post {
      @PrimaryGeneratedColumn() id!: number;
      @ManyToMany(() => Tag)
      @JoinTable({
        name: 'post_tags',
        joinColumn: { name: 'post_id' },
        inverseJoinColumn: { name: 'tag_id' },
      })
      tags!: Tag[];
    }
    await query('create schema legacy; create table legacy.log (id int primary key, line text)');
    const triggers = [
      { table: 'post_tags', channel: 'tagged' },
      { table: 'log', schema: 'legacy', primaryKey: ['id'], columns: ['id'], on: 'insert' },
    ] as const;
    const source = await connect([Post, Tag], { triggers });
    await migrate(source);
    const tagged = await sentBy('tagged', async () => {
      const post = await source
        .getRepository(Post)
        .save({ tags: [await source.getRepository(Tag).save({})] });
      await source.getRepository(Post).save({ id: post.id, tags: [] });
    });
    expect(tagged.map(({ operation, old, new: row }) => [operation, row ?? old])).toEqual([
      ['insert', { post_id: 1, tag_id: 1 }],
      ['delete', { post_id: 1, tag_id: 1 }],
    ]);
    const logged = await sentBy('legacy.log', () => query(`insert into legacy.log values (1, 'x')`));
    expect(rowsOf(logged)).toEqual([{ id: 1 }]);
  });
});
