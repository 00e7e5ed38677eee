import { Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  Listener,
  NotifyChanges,
  OnChange,
  OnInsert,
  OnUpdate,
  PubSubService,
  type EntityChange,
  type Notification,
} from 'nestjs-pgpubsub';
import { PgPubSubTestingModule, PubSubTester, type TestingEntities } from 'nestjs-pgpubsub/testing';
import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, type Relation } from 'typeorm';
import { afterEach, describe, expect, it } from 'vitest';

@Entity({ name: 'author' })
@NotifyChanges()
@NotifyChanges({ channel: 'feed', on: ['insert', 'truncate'] })
class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') name!: string;
  @Column('text', { nullable: true }) bio!: string | null;
}

@Entity({ name: 'post' })
@NotifyChanges({ delivery: 'exactly-once' })
class Post {
  @PrimaryGeneratedColumn() id!: number;
  @ManyToOne(() => Author) author!: Relation<Author>;
}

const SILENT = { log() {}, warn() {}, error() {} };
const ada = Object.assign(new Author(), { id: 1, name: 'Ada', bio: null });

let app: TestingModule | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

async function start(provider: new () => object, options: TestingEntities = { entities: [Author, Post] }) {
  app = await Test.createTestingModule({
    imports: [PgPubSubTestingModule.forRoot(options)],
    providers: [provider],
  })
    .setLogger(SILENT)
    .compile();
  await app.init();
  return { pubsub: app.get(PubSubService), tester: app.get(PubSubTester) };
}

describe('PubSubTester.publish() with an entity', () => {
  const seen: [string, EntityChange<Author>, Notification][] = [];
  afterEach(() => seen.splice(0));

  @Injectable()
  class Authors {
    @OnInsert(Author)
    inserted(change: EntityChange<Author>, notification: Notification) {
      seen.push(['inserted', change, notification]);
    }

    @OnUpdate(Author)
    updated(change: EntityChange<Author>, notification: Notification) {
      seen.push(['updated', change, notification]);
    }

    @Listener('feed')
    fed(change: EntityChange<Author>, notification: Notification) {
      seen.push(['fed', change, notification]);
    }
  }

  it('reaches the listeners of the operation with the same entity object', async () => {
    const { tester } = await start(Authors);

    await tester.publish(Author, { operation: 'insert', new: ada }, { context: { tenant: 'a' } });
    await tester.flush();

    const [[listener, change, notification] = []] = seen;
    expect(seen).toHaveLength(1);
    expect(listener).toBe('inserted');
    expect(change).toEqual({
      operation: 'insert',
      old: null,
      new: ada,
      entity: ada,
      changed: [],
      table: 'author',
      schema: 'public',
      truncated: false,
    });
    expect(change?.new).toBe(ada);
    expect(notification).toMatchObject({ channel: 'author', context: { tenant: 'a' } });
    expect(tester.received(Author)).toHaveLength(1);
  });

  it('names the properties that an update changed', async () => {
    const { tester } = await start(Authors);
    const grace = Object.assign(new Author(), ada, { name: 'Grace' });

    await tester.publish(Author, { operation: 'update', old: ada, new: grace });
    await tester.publish(Author, { operation: 'update', old: ada, new: ada, changed: ['bio'] });
    await tester.flush();

    expect(seen.map(([listener, { changed }]) => [listener, changed])).toEqual([
      ['updated', ['name']],
      ['updated', ['bio']],
    ]);
  });

  it('reaches another channel of the entity by its name', async () => {
    const { tester } = await start(Authors);

    await tester.publish('feed', { operation: 'insert', new: ada });
    await tester.publish('feed', { operation: 'truncate' });
    await tester.flush();

    expect(seen.map(([listener, { operation, entity }]) => [listener, operation, entity])).toEqual([
      ['fed', 'insert', ada],
      ['fed', 'truncate', null],
    ]);
  });

  it.each([
    [
      'a row that is not an entity',
      Author,
      { operation: 'insert', new: { id: 1, name: 'Ada' } },
      /to be an instance of the class Author/,
    ],
    ['an insert without a row', Author, { operation: 'insert' }, /"new" of insert/],
    [
      'an insert that has an old row',
      Author,
      { operation: 'insert', new: ada, old: ada },
      /no "old" of insert/,
    ],
    ['a delete without a row', Author, { operation: 'delete', new: ada }, /no "new" of delete/],
    [
      'an operation that its trigger does not send',
      Author,
      { operation: 'truncate' },
      /sends \(insert, update, delete\), got "truncate"/,
    ],
    [
      'an operation that the trigger of another channel does not send',
      'feed',
      { operation: 'delete', old: ada },
      /sends \(insert, truncate\)/,
    ],
    ['undefined', Author, undefined, /a change of a row, got undefined/],
  ])('rejects %s', async (_, channel, change, message) => {
    const { tester } = await start(Authors);

    await expect(tester.publish(channel as string, change)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message) as unknown,
    });
  });

  it('rejects a context that JSON cannot represent', async () => {
    const { tester } = await start(Authors);

    await expect(
      tester.publish(Author, { operation: 'insert', new: ada }, { context: { n: 5n } }),
    ).rejects.toMatchObject({ code: 'INVALID_PAYLOAD' });
  });

  it('rejects an entity whose changes are stored', async () => {
    const { tester } = await start(Authors);

    await expect(tester.publish(Post, { operation: 'insert', new: new Post() })).rejects.toMatchObject({
      code: 'DELIVERY_UNSUPPORTED',
    });
  });

  it('does not treat a notification of the application as a change of a row', async () => {
    const { tester, pubsub } = await start(Authors);

    await expect(pubsub.notify('author', { name: 'Ada' })).rejects.toMatchObject({ code: 'INVALID_PAYLOAD' });
    await pubsub.notify('author', {
      operation: 'insert',
      schema: 'public',
      table: 'author',
      old: null,
      new: { id: 1 },
    });

    await expect(tester.flush()).rejects.toMatchObject({
      code: 'INVALID_PAYLOAD',
      message: expect.stringContaining('publish(entity, change)') as unknown,
    });
  });
});

it('PgPubSubTestingModule rejects a listener of an entity that is not listed', async () => {
  @Injectable()
  class Authors {
    @OnChange(Author)
    changed() {}
  }

  await expect(start(Authors, {})).rejects.toMatchObject({
    code: 'INVALID_CHANNEL',
    message: expect.stringContaining('forRoot({ entities: [Author, Post] })') as unknown,
  });
});

it('PgPubSubTestingModule rejects a listener of an operation that the trigger does not send', async () => {
  @Injectable()
  class Authors {
    @Listener(Author, { on: 'truncate' })
    truncated() {}
  }

  await expect(start(Authors)).rejects.toMatchObject({ code: 'INVALID_LISTENER' });
});
