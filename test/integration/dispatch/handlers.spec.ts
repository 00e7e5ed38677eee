import { Injectable } from '@nestjs/common';
import { Listener } from 'nestjs-pgpubsub';
import { expect, it } from 'vitest';
import { Mailbox } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();

it('a handler that throws, rejects or never settles affects neither other listeners, nor other channels, nor the connection', async () => {
  const mailbox = new Mailbox<string>();
  @Injectable()
  class Handlers {
    @Listener('orders')
    throws(id: number) {
      mailbox.push(`throws ${id}`);
      if (id === 1) throw new Error('thrown');
    }
    @Listener('orders')
    async rejects(id: number) {
      mailbox.push(`rejects ${id}`);
      await Promise.reject(new Error('rejected'));
    }
    @Listener('orders')
    never(id: number) {
      mailbox.push(`never ${id}`);
      return new Promise(() => undefined);
    }
    @Listener('orders')
    throwsNothing(id: number) {
      mailbox.push(`odd ${id}`);
      // oxlint-disable-next-line typescript/only-throw-error -- the worst a handler can do
      throw undefined;
    }
    @Listener('others')
    other(id: number) {
      mailbox.push(`other ${id}`);
    }
  }
  await using app = await database.start({
    providers: [Handlers],
    options: { shutdownTimeoutMs: 50 },
  });
  const [before] = await listenProcess();
  await app.pubsub.notify('orders', 1);
  await app.pubsub.notify('orders', 2);
  await app.pubsub.notify('others', 3);

  await mailbox.find((text) => text === 'other 3');
  await mailbox.find((text) => text === 'rejects 2');
  expect(mailbox.all.toSorted()).toEqual([
    'never 1',
    'odd 1',
    'odd 2',
    'other 3',
    'rejects 1',
    'rejects 2',
    'throws 1',
    'throws 2',
  ]);
  expect(await listenProcess()).toEqual([before]);
  const errors = app.log.all.filter(({ level }) => level === 'error').map(({ text }) => text);
  expect(errors).toContain('Listener Handlers.throws failed on channel "orders": thrown');
  expect(errors).toContain('Listener Handlers.rejects failed on channel "orders": rejected');
  expect(errors).toContain('Listener Handlers.throwsNothing failed on channel "orders": undefined');
});

it('a handler that always fails logs a limited number of errors', async () => {
  const mailbox = new Mailbox<number>();
  @Injectable()
  class Handlers {
    @Listener('orders')
    throws(id: number) {
      mailbox.push(id);
      throw new Error('always');
    }
  }
  await using app = await database.start({ providers: [Handlers] });
  await app.pubsub.notifyMany(
    'orders',
    Array.from({ length: 1_000 }, (_, id) => id),
  );

  await mailbox.take(1_000);
  expect(app.log.all.filter(({ level }) => level === 'error')).toHaveLength(1);
});

it('handlers run one after the other by default, and in parallel up to `concurrency`', async () => {
  const mailbox = new Mailbox<string>();
  const releases: (() => void)[] = [];
  @Injectable()
  class Handlers {
    @Listener('orders')
    serial(id: number) {
      mailbox.push(`serial ${id}`);
      return this.held();
    }
    @Listener('orders', { concurrency: 3, name: 'parallel' })
    parallel(id: number) {
      mailbox.push(`parallel ${id}`);
      return this.held();
    }
    private held() {
      return new Promise<void>((resolve) => releases.push(resolve));
    }
  }
  await using app = await database.start({ providers: [Handlers] });
  await app.pubsub.notifyMany('orders', [1, 2, 3, 4]);
  await mailbox.take(4);
  expect(mailbox.all.toSorted()).toEqual(['parallel 1', 'parallel 2', 'parallel 3', 'serial 1']);
  for (const release of releases.splice(0)) release();
  expect((await mailbox.take(2)).toSorted()).toEqual(['parallel 4', 'serial 2']);
  for (let round = 0; round < 3; round++) {
    for (const release of releases.splice(0)) release();
    if (round < 2) await mailbox.next();
  }
});

async function listenProcess(): Promise<number[]> {
  const sql = "select pid from pg_stat_activity where datname = $1 and application_name like '%:listen'";
  return (await database.query<{ pid: number }>(sql, [database.name])).map(({ pid }) => pid);
}
