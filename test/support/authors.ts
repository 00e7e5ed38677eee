import { Injectable } from '@nestjs/common';
import {
  NotifyChanges,
  OnDelete,
  OnInsert,
  OnTruncate,
  OnUpdate,
  withPgPubSub,
  type EntityChange,
  type Notification,
} from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { TestApp, TestAppOptions } from './app.js';
import { Mailbox } from './mailbox.js';
import { useDatabase } from './use-database.js';

@Entity()
@NotifyChanges({ on: ['insert', 'update', 'delete', 'truncate'] })
export class Author {
  @PrimaryGeneratedColumn('identity', { type: 'bigint' }) id!: string;
  @Column('text', { name: 'full_name' }) name!: string;
  @Column('numeric', { default: '1.10' }) balance!: string;
  @Column('timestamptz', { default: '2024-01-01T00:00:00Z' }) since!: Date;
  @Column('text', { select: false, default: 'secret' }) password!: string;
}

/** An entity without notifications. */
@Entity()
export class Plain {
  @PrimaryGeneratedColumn() id!: number;
}

/** A database per test, and applications on it with the entities above. */
export function useAuthors() {
  const database = useDatabase({ per: 'test' });
  const start = (options: Partial<TestAppOptions> = {}): Promise<TestApp> =>
    database.start({
      dataSource: { entities: [Author, Plain], synchronize: true },
      patch: withPgPubSub,
      ...options,
    });
  return { database, start };
}

type Seen = [string, EntityChange<Author>, Notification<EntityChange<Author>>];

/** Listeners of all changes, in the order of their calls. */
export function authorListeners() {
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
