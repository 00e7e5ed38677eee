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

/** Creates the classes of the tables author and book for a delivery, which share a channel. */
function createEntities(delivery: 'broadcast' | 'exactly-once') {
  @Entity()
  @NotifyChanges({ channel: `audit_${delivery}`, delivery, on: ['insert', 'update'] })
  class Author {
    @PrimaryGeneratedColumn() id!: number;
    @Column('text') name!: string;
  }
  @Entity()
  @NotifyChanges({ channel: `audit_${delivery}`, delivery, on: ['insert', 'update'] })
  class Book {
    @PrimaryGeneratedColumn() id!: number;
    @Column('text') title!: string;
  }
  return { Author, Book };
}

describe('rows that were too large', () => {
  it('are loaded in batches, one query after the other, in order', async () => {
    const { Author, Book } = createEntities('broadcast');
    const seen = new Mailbox<number>();
    @Injectable()
    class Listeners {
      @Listener(Author)
      author({ truncated, new: row }: EntityChange<{ id: number; name: string }>) {
        expect([truncated, row?.name.length]).toEqual([true, 9_000]);
        seen.push(Number(row?.id));
      }
    }
    await using app = await start([Author, Book], { providers: [Listeners] });
    const { dataSource } = app;
    const queries: string[] = [];
    let running = 0;
    let most = 0;
    const create = dataSource.createQueryRunner.bind(dataSource);
    dataSource.createQueryRunner = (mode) => {
      const runner = create(mode);
      const query = runner.query.bind(runner);
      runner.query = async (...args: Parameters<typeof query>): Promise<never> => {
        if (args[0].includes('pgpubsub_position')) queries.push(args[0]);
        most = Math.max(most, ++running);
        return query(...args).finally(() => running--) as Promise<never>;
      };
      return runner;
    };
    await database.query(`insert into author (name) select repeat('x', 9000) from generate_series(1, 2500)`);
    expect(await seen.take(2_500)).toEqual(Array.from({ length: 2_500 }, (_row, index) => index + 1));
    expect(most).toBe(1);
    expect(queries.length).toBeLessThan(250); // the number that arrives during a query depends on the machine
  });
});
