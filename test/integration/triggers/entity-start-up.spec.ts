import { Injectable } from '@nestjs/common';
import { Column, Entity, PrimaryGeneratedColumn, type DataSource } from 'typeorm';
import {
  NotifyChanges,
  OnDelete,
  OnInsert,
  OnTruncate,
  OnUpdate,
  PgPubSubModule,
  withPgPubSub,
  type EntityChange,
  type Notification,
} from 'nestjs-pgpubsub';
import { describe, expect, it } from 'vitest';
import type { TestApp, TestAppOptions } from '../../support/app.js';
import { Mailbox } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';

@Entity()
@NotifyChanges({ on: ['insert', 'update', 'delete', 'truncate'] })
class Author {
  @PrimaryGeneratedColumn('identity', { type: 'bigint' }) id!: string;
  @Column('text', { name: 'full_name' }) name!: string;
  @Column('numeric', { default: '1.10' }) balance!: string;
  @Column('timestamptz', { default: '2024-01-01T00:00:00Z' }) since!: Date;
  @Column('text', { select: false, default: 'secret' }) password!: string;
}

@Entity()
class Plain {
  @PrimaryGeneratedColumn() id!: number;
}

const database = useDatabase({ per: 'test' });

function start(options: Partial<TestAppOptions> = {}): Promise<TestApp> {
  return database.start({
    dataSource: { entities: [Author, Plain], synchronize: true },
    patch: withPgPubSub,
    ...options,
  });
}

type Seen = [string, EntityChange<Author>, Notification<EntityChange<Author>>];

function authorListeners() {
  const seen = new Mailbox<Seen>();
  @Injectable()
  class Authors {
    @OnInsert(Author)
    inserted(change: EntityChange<Author>, notification: Notification<EntityChange<Author>>) {
      seen.push(['inserted', change, notification]);
    }
    @OnUpdate(Author)
    updated(change: EntityChange<Author>, notification: Notification<EntityChange<Author>>) {
      seen.push(['updated', change, notification]);
    }
    @OnDelete(Author)
    deleted(change: EntityChange<Author>, notification: Notification<EntityChange<Author>>) {
      seen.push(['deleted', change, notification]);
    }
    @OnTruncate(Author)
    truncated(change: EntityChange<Author>, notification: Notification<EntityChange<Author>>) {
      seen.push(['truncated', change, notification]);
    }
  }
  return { provider: Authors, seen };
}

describe('an entity', () => {
  it('can be registered by forFeature()', async () => {
    const { provider, seen } = authorListeners();
    await using app = await start({ providers: [provider], imports: [PgPubSubModule.forFeature([Author])] });
    await app.dataSource.getRepository(Author).insert({ name: 'a' });
    expect((await seen.next())[0]).toBe('inserted');
  });
});

describe('the start of an application', () => {
  const unwrapped = (dataSource: DataSource) => dataSource;

  it('reports missing, drifted and disabled triggers with the remedy', async () => {
    const missing = start({ patch: unwrapped });
    await expect(missing).rejects.toMatchObject({ code: 'SCHEMA_DRIFTED' });
    await expect(missing).rejects.toThrow(
      /missing: table public.pgpubsub_notification; .*missing: trigger _pgpubsub_author_insert on public.author.*Wrap the DataSource in withPgPubSub\(\), then run "typeorm migration:generate"/,
    );
    await (await start()).close();
    const dataSource = { entities: [Author], synchronize: false };
    await (await start({ dataSource })).close();
    await database.query('alter table author disable trigger user');
    await expect(start({ dataSource })).rejects.toThrow(
      /disabled: trigger _pgpubsub_author_insert on public.author; .*\. Run "typeorm migration:run", after "typeorm migration:generate" where/,
    );
    await database.query('alter table author enable trigger user');
    await database.query(
      'create or replace function pgpubsub_broadcast() returns trigger language plpgsql as $$ begin return null; end $$',
    );
    await expect(start({ dataSource })).rejects.toThrow(
      /got drifted: function public.pgpubsub_broadcast\. Undo what was changed by hand/,
    );

    await using warned = await start({ dataSource, options: { verifySchema: 'warn' } });
    await warned.log.find(({ level, text }) => level === 'warn' && text.includes('drifted: function'));
    await using silent = await start({ dataSource, options: { verifySchema: false, listen: false } });
    expect(silent.log.all.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  it('creates missing triggers and the storage with `synchronize`', async () => {
    const { provider, seen } = authorListeners();
    await using app = await start({
      providers: [provider],
      patch: unwrapped,
      options: { synchronize: true },
    });
    await app.dataSource.getRepository(Author).insert({ name: 'a' });
    expect((await seen.next())[1].new?.name).toBe('a');
  });
});
