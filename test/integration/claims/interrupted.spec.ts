import { Injectable } from '@nestjs/common';
import { Listener, defineChannel, type Notification } from 'nestjs-pgpubsub';
import type { EntityManager } from 'typeorm';
import { afterEach, expect, it } from 'vitest';
import { Mailbox } from '../../support/mailbox.js';
import { range, terminate, useStored } from '../../support/stored.js';

const { start, query, deadLetters, settled, effects, waiting } = useStored();
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect'));

const Orders = defineChannel<number>('orders', { delivery: 'exactly-once' });
const Keyed = defineChannel<number>('keyed', { delivery: 'exactly-once', ordered: true });

const write = (manager: EntityManager, what: string) =>
  manager.query('insert into effect (what) values ($1)', [what]);

it('a claim whose connection is lost is undone, and its rows are claimed again', async () => {
  const attempts = new Mailbox<string>();
  let isFirst = true;
  @Injectable()
  class Handler {
    @Listener(Orders)
    async receive(payload: number, { manager, attempt }: Notification) {
      attempts.push(`${payload} attempt ${attempt}`);
      await write(manager, String(payload));
      if (payload === 2 && isFirst) {
        isFirst = false;
        await terminate(manager);
      }
    }
  }
  await using sender = await start({ channels: [Orders], options: { listen: false } });
  await sender.pubsub.notifyMany(Orders, [1, 2, 3]);
  const options = { concurrency: 1, batch: { maxTimeMs: 60_000 } };
  await using app = await start({ providers: [Handler], options });
  await settled(Orders);
  expect((await effects()).toSorted()).toEqual(['1', '2', '3']);
  expect(attempts.all.slice(0, 2)).toEqual(['1 attempt 1', '2 attempt 1']);
  expect(attempts.all.slice(2).toSorted()).toEqual(['1 attempt 2', '2 attempt 2', '3 attempt 2']);
  expect(await deadLetters(Orders)).toEqual([]);
  await app.log.find(({ text }) => text.includes('Claim on channel "orders" failed, will retry'));
  await app.log.find(({ text }) =>
    text.includes(
      'was interrupted: the process or connection that handled it ended (interruptions so far: 1)',
    ),
  );
});

it('a row whose claims all end with their connection becomes a dead letter, and delays no other row', async () => {
  const runs = new Mailbox<string>();
  @Injectable()
  class Handler {
    @Listener(Orders, { retry: { maxAttempts: 3 } })
    async receive(payload: number, { manager, attempt }: Notification) {
      runs.push(`${payload} attempt ${attempt}`);
      await write(manager, String(payload));
      if (payload === 1) await terminate(manager);
    }
  }
  await using sender = await start({ channels: [Orders], options: { listen: false } });
  await sender.pubsub.notifyMany(Orders, range(5));
  await using app = await start({ providers: [Handler], options: { concurrency: 1 } });
  await settled(Orders);
  expect((await effects()).toSorted()).toEqual(['2', '3', '4', '5']);
  const deadly = runs.all.filter((run) => run.startsWith('1 '));
  expect(deadly).toEqual(['1 attempt 1', '1 attempt 2', '1 attempt 3']);
  for (const id of [2, 3, 4, 5]) expect(runs.all.filter((run) => run.startsWith(`${id} `))).toHaveLength(1);
  expect(runs.all.at(-1)).toBe('1 attempt 3'); // the others were handled before its last attempt
  const letters = await deadLetters(Orders);
  expect(letters).toMatchObject([{ payload: 1, listener: 'Handler.receive', attempts: 3 }]);
  expect(letters[0]?.last_error).toMatch(/the process or its connection ended 3 times while/);
  await app.pubsub.notify(Orders, 6);
  await runs.find((run) => run === '6 attempt 1');
});

it('attempts count both failed handlers and interrupted claims', async () => {
  const runs = new Mailbox<string>();
  @Injectable()
  class Handler {
    @Listener(Orders, { retry: { maxAttempts: 4 } })
    async receive(_: number, { manager, attempt }: Notification) {
      runs.push(`attempt ${attempt}`);
      if (attempt === 2) return terminate(manager);
      throw new Error(`failed ${attempt}`);
    }
  }
  await using app = await start({ providers: [Handler] });
  await app.pubsub.notify(Orders, 1);
  await settled(Orders);
  expect(runs.all).toEqual(['attempt 1', 'attempt 2', 'attempt 3', 'attempt 4']);
  expect(await deadLetters(Orders)).toMatchObject([
    { attempts: 4, last_error: expect.stringContaining('failed 4') },
  ]);
});

it('a row of an ordered channel that ends its claims becomes a dead letter alone, and the rows of its key continue', async () => {
  const seen = new Mailbox<number>();
  @Injectable()
  class Handler {
    @Listener(Keyed, { retry: { maxAttempts: 2 } })
    async receive(payload: number, { manager }: Notification) {
      await write(manager, String(payload));
      if (payload === 1) return terminate(manager);
      seen.push(payload);
    }
  }
  await using app = await start({ providers: [Handler] });
  await app.dataSource.transaction(async (manager) => {
    for (const id of range(6)) await app.pubsub.notify(Keyed, id, { key: `k${id % 2}`, manager });
  });
  await settled(Keyed);
  expect(await deadLetters(Keyed)).toMatchObject([{ payload: 1 }]);
  const committed = (await effects()).map(Number);
  expect(committed.filter((id) => id % 2 === 0)).toEqual([2, 4, 6]);
  expect(committed.filter((id) => id % 2 === 1)).toEqual([3, 5]); // after the head of their key became a dead letter
});

it('a claim that is slow but not interrupted uses one attempt', async () => {
  const runs = new Mailbox<string>();
  @Injectable()
  class Slow {
    @Listener(Orders)
    async receive(payload: number, { manager, attempt }: Notification) {
      await manager.query('select pg_sleep(0.02)');
      runs.push(`${payload} attempt ${attempt}`);
    }
  }
  await using app = await start({ providers: [Slow], options: { batch: { maxTimeMs: 10 } } });
  await app.pubsub.notifyMany(Orders, range(10));
  await settled(Orders);
  expect(runs.all.toSorted()).toEqual(range(10).map((id) => `${id} attempt 1`).toSorted()); // prettier-ignore
  expect(app.log.all.filter(({ text }) => text.includes('was interrupted'))).toEqual([]);
  expect(await waiting(Orders)).toEqual([]);
});

it('an interrupted row is claimed by another process long before the slow poll', async () => {
  const held = new Mailbox<EntityManager>();
  const died = new Mailbox<unknown>();
  @Injectable()
  class Dying {
    @Listener(Orders, { name: 'receive' })
    async receive(_: number, { manager }: Notification) {
      await write(manager, 'never');
      held.push(manager);
      await new Promise((resolve) => died.push(resolve));
    }
  }
  const handled = new Mailbox<number>();
  @Injectable()
  class Living {
    @Listener(Orders, { name: 'receive' })
    receive(payload: number) {
      handled.push(payload);
    }
  }
  await using first = await start({ providers: [Dying] });
  await first.pubsub.notify(Orders, 1);
  const manager = await held.next();
  await using second = await start({ providers: [Living] });
  await second.pubsub.recover(); // knows now that the row is locked
  await first.pubsub.pause(); // prevents another claim of this process
  await terminate(manager);
  (died.all[0] as () => void)();

  expect(await handled.next()).toBe(1);
  expect(await effects()).toEqual([]);
});
