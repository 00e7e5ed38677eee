import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Listener } from 'nestjs-pgpubsub';
import { expect, it, onTestFinished } from 'vitest';
import { startPostgres } from '../../../tools/embedded-postgres.js';
import { TestDatabase } from '../../support/database.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();

const COUNT = 50_000;
const SEND = `select count(pg_notify('burst', '{"id":' || i || '}')) from generate_series(1, ${COUNT}) as i`;

it('a slow handler receives the newest of 50,000 notifications of one transaction, and the queue of the server becomes empty', async () => {
  const server = await startPostgres(); // the queue belongs to all databases of a server, and is empty in this one alone
  onTestFinished(server.stop);
  await using quiet = await TestDatabase.create(server.url);
  const handled: number[] = [];
  const all = new Mailbox<number>();
  let seen = 0;
  @Injectable()
  class Slow {
    @Listener('burst')
    async receive({ id }: { id: number }) {
      await delay(1); // the work of the slow handler
      handled.push(id);
      if (id === COUNT) all.push(id);
    }
    @Listener('burst', { name: 'counts' })
    count() {
      seen++;
    }
  }
  await using app = await quiet.start({
    providers: [Slow],
    options: { buffer: { maxSize: 500 } },
  });
  const client = await quiet.client();
  await client.query(SEND);

  await all.next(); // the newest one; the oldest ones were dropped
  await eventually(async () => {
    const [row] = await quiet.query<{ usage: number }>('select pg_notification_queue_usage() as usage');
    return row?.usage === 0;
  }, "the server's queue is empty");
  expect(handled.length).toBeLessThan(5_000);
  expect(handled).toEqual(handled.toSorted((a, b) => a - b));
  expect(handled.slice(-500)).toEqual(Array.from({ length: 500 }, (_, index) => COUNT - 499 + index));
  expect(seen).toBeGreaterThan(0);
  const drops = app.log.all.filter(({ text }) => text.includes('Slow.receive is too slow'));
  expect(drops.length).toBeGreaterThan(0);
  expect(drops.length).toBeLessThan(5);
});

it('a handler that is fast enough receives every notification of a burst', async () => {
  const all = new Mailbox<number>();
  let next = 1;
  @Injectable()
  class Fast {
    @Listener('burst')
    receive({ id }: { id: number }) {
      if (id !== next) all.push(-id);
      next++;
      if (id === COUNT) all.push(id);
    }
  }
  await using _app = await database.start({
    providers: [Fast],
    options: { buffer: { maxSize: COUNT } }, // for a busy machine
  });
  const client = await database.client();
  await client.query(SEND);
  expect(await all.next()).toBe(COUNT);
  expect(next).toBe(COUNT + 1);
});

it('timers and sockets get their turn while synchronous handlers process a burst', async () => {
  const done = new Mailbox<number>();
  let turns = 0;
  @Injectable()
  class Busy {
    @Listener('burst')
    receive({ id }: { id: number }) {
      for (const until = performance.now() + 1; performance.now() < until;);
      if (id === 1_000) done.push(turns);
    }
  }
  await using _app = await database.start({ providers: [Busy] });
  const ticking = setInterval(() => turns++, 1);
  const client = await database.client();
  await client.query(SEND.replace(String(COUNT), '1000'));
  expect(await done.next()).toBeGreaterThanOrEqual(5);
  clearInterval(ticking);
});
