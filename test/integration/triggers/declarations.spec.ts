import { Injectable } from '@nestjs/common';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { Listener, NotifyChanges, withPgPubSub, type EntityChange } from 'nestjs-pgpubsub';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { TestApp, type TestAppOptions } from '../../support/app.js';
import { Mailbox } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();
beforeAll(() => database.query('create schema s1; create schema s2'));
afterEach(async () => {
  vi.restoreAllMocks();
  await database.query('drop table if exists author, book, secret, s1.item, s2.item cascade');
});

const start = (entities: (new () => object)[], options: Partial<TestAppOptions> = {}): Promise<TestApp> =>
  database.start({ dataSource: { entities, synchronize: true }, patch: withPgPubSub, ...options });

describe('the option "exclude"', () => {
  it.each(['broadcast', 'exactly-once'] as const)(
    'leaves properties out of the notification, %s',
    async (delivery) => {
      @Entity({ name: 'author' })
      @NotifyChanges({ exclude: ['password'], delivery })
      class User {
        @PrimaryGeneratedColumn() id!: number;
        @Column('text') name!: string;
        @Column('text', { name: 'password_hash' }) password!: string;
      }
      const seen = new Mailbox<EntityChange<User>>();
      @Injectable()
      class Listeners {
        @Listener(User)
        user(change: EntityChange<User>) {
          seen.push(change);
        }
      }
      await using app = await start([User], { providers: [Listeners] });
      await app.dataSource.manager.save(User, { name: 'Ada', password: 'secret hash' });
      const { new: row } = await seen.next();
      expect(row).toMatchObject({ name: 'Ada' });
      expect(JSON.stringify(row)).not.toContain('secret');
      expect(row?.password).toBeUndefined();
    },
  );
});
