import { Injectable } from '@nestjs/common';
import { Listener, NonRetryableError, defineChannel } from 'nestjs-pgpubsub';
import { beforeAll, beforeEach } from 'vitest';
import { DeadLetterBatches } from '../../lib/store/dead-letter-batches.js';
import { Database } from '../../lib/triggers/database.js';
import type { TestApp } from './app.js';
import { Mailbox, eventually } from './mailbox.js';
import { useDatabase } from './use-database.js';

interface Order {
  readonly name: string;
}

export const Orders = defineChannel<Order>('orders', { delivery: 'exactly-once' });

/**
 * An application with two listeners that fail, and dead letters of several notifications with one
 * id. Ids recur when their sequence restarts: after a restore, after `truncate … restart identity`,
 * or with ids that an application sets.
 */
export function useDeadLetters() {
  const broken = { first: true, second: true };
  const handled = new Mailbox<string>();
  let gate: Promise<void> | undefined;

  @Injectable()
  class Listeners {
    @Listener(Orders, { name: 'first' })
    async first({ name }: Order) {
      if (broken.first) throw new NonRetryableError(`first cannot handle ${name.slice(0, 40)}`);
      handled.push(`first ${name}`);
      await gate;
    }

    @Listener(Orders, { name: 'second' })
    second({ name }: Order) {
      if (broken.second) throw new NonRetryableError(`second cannot handle ${name.slice(0, 40)}`);
      handled.push(`second ${name}`);
    }
  }

  const database = useDatabase();
  let app: TestApp;

  beforeAll(async () => {
    app = await database.start({ providers: [Listeners], options: { synchronize: true } });
  });
  beforeEach(async () => {
    await app.pubsub.pause();
    await database.query('truncate pgpubsub_notification, pgpubsub_dead_letter restart identity');
    Object.assign(broken, { first: true, second: false });
    handled.all.length = 0;
    gate = undefined;
  });

  const nextId = (id: number) =>
    database.query(`alter table pgpubsub_notification alter column id restart with ${id}`);

  /** Handles all due notifications. */
  async function drain(): Promise<void> {
    await app.pubsub.resume();
    await app.pubsub.recover();
    await app.pubsub.pause();
  }

  /** Stores a notification with the id 1. */
  async function store(name: string, context?: { tenant: string }): Promise<void> {
    await nextId(1);
    await app.pubsub.notify(Orders, { name }, context && { context });
  }

  /** Creates dead letters of notifications that all have the id 1. The next id is 100. */
  async function bury(...names: string[]): Promise<void> {
    for (const name of names) {
      await store(name);
      await drain();
    }
    await nextId(100);
    handled.all.length = 0;
  }

  async function letters() {
    const all: { id: string; listener: string; name: string; error: string | undefined }[] = [];
    for await (const { id, listener, payload, lastError } of app.pubsub.stored.deadLetters())
      all.push({ id, listener, name: (payload as unknown as Order).name, error: lastError?.split('\n')[0] });
    return all;
  }

  const names = async () => (await letters()).map(({ name }) => name);

  const waiting = () =>
    database.query<{ id: string; name: string; listeners: string[] | null }>(
      `select id, payload ->> 'name' as name, listeners from pgpubsub_notification order by id`,
    );

  /** The sizes of the batches in which the command line processes dead letters. */
  async function inPortions(action: 'retry' | 'discard', filter = {}): Promise<number[]> {
    const { dataSource } = app;
    const options = { dataSource, storage: () => Database.of(dataSource).storage, nameOf: String };
    const portions = await DeadLetterBatches.begin(options, filter);
    const sizes: number[] = [];
    for await (const size of portions[action]()) sizes.push(size);
    return sizes;
  }

  /** Resolves when this number of retries waits for a lock. */
  const blocked = (count: number) =>
    eventually(async () => {
      const sql = `select from pg_stat_activity where datname = $1 and wait_event_type = 'Lock' and query ~ 'pgpubsub_dead_letter'`;
      return (await database.query(sql, [database.name])).length === count;
    }, `${count} retries wait for a lock`);

  /** The ways to retry dead letters. */
  const retries: [string, () => Promise<number>][] = [
    ['in one call', () => app.pubsub.stored.retry({})],
    ['in batches', async () => (await inPortions('retry')).reduce((sum, size) => sum + size, 0)],
  ];

  return {
    database,
    broken,
    handled,
    /** Makes the first listener wait for a promise. */
    hold: (until: Promise<void>) => (gate = until),
    app: () => app,
    nextId,
    drain,
    store,
    bury,
    letters,
    names,
    waiting,
    inPortions,
    blocked,
    retries,
    Listeners,
  };
}
