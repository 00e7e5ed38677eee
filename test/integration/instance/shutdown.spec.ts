import { EventEmitter, once } from 'node:events';
import { Injectable } from '@nestjs/common';
import {
  Listener,
  PgPubSubModule,
  getPubSubToken,
  type ConnectionState,
  type Notification,
  type PubSubService,
} from 'nestjs-pgpubsub';
import { expect, it } from 'vitest';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();

/** A listener that runs until it is released or aborted. */
function holdingListener() {
  const log = new Mailbox<string>();
  let release = (): void => undefined;
  @Injectable()
  class Holding {
    @Listener('orders')
    async receive(id: number, { signal, manager }: Notification) {
      log.push(`started ${id}`);
      await new Promise<void>((resolve) => {
        release = resolve;
        signal.addEventListener('abort', () => log.push('aborted'));
      });
      await manager.query('select 1'); // the pool is still open
      log.push(`finished ${id}`);
    }
  }
  return { provider: Holding, log, release: () => release() };
}

it('the shutdown waits for running handlers, discards waiting broadcasts, accepts no new ones, and completes the streams', async () => {
  const { provider, log, release } = holdingListener();
  const app = await database.start({ providers: [provider] });
  const states: ConnectionState[] = [];
  const events = new Mailbox<string>();
  app.pubsub.connection$.subscribe({
    next: (state) => states.push(state),
    complete: () => events.push('connection$'),
  });
  app.pubsub.gaps$.subscribe({ complete: () => events.push('gaps$') });
  app.pubsub.observe('orders').subscribe({ complete: () => events.push('observe()') });
  await app.pubsub.notifyMany('orders', [1, 2, 3]);
  await log.next();

  const closing = app.close();
  await events.find((event) => event === 'observe()');
  const client = await database.client();
  await client.query("notify orders, '4'");
  release();
  await closing;
  expect(log.all).toEqual(['started 1', 'finished 1']);
  expect(events.all.toSorted()).toEqual(['connection$', 'gaps$', 'observe()']);
  expect(states.at(-1)).toBe('closed');
  await app.log.find(({ text }) =>
    text.includes('discarded 2 notifications on channel "orders" that waited for Holding.receive'),
  );
  await eventually(async () => (await database.listenSessions()) === 0, 'the session is closed');
});

it('the shutdown aborts the signal at the timeout, logs the running listeners, and ends', async () => {
  const { provider, log } = holdingListener();
  const app = await database.start({
    providers: [provider],
    options: { shutdownTimeoutMs: 100 },
  });
  await app.pubsub.notify('orders', 1);
  await log.next();
  await app.close();

  expect(log.all).toEqual(['started 1', 'aborted']);
  await app.log.find(
    ({ text }) => text === 'Shutdown timed out after 100 ms; still running: Holding.receive',
  );
  await eventually(async () => (await database.listenSessions()) === 0, 'the session is closed');
});

it('the shutdown ends while the connection is reopening, without waiting for the server', async () => {
  const { provider } = holdingListener();
  const app = await database.start({
    providers: [provider],
    options: { reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000 } },
  });
  const states = new Mailbox<ConnectionState>();
  app.pubsub.connection$.subscribe(states.push);
  await database.terminateListeners();
  await states.find((state) => state === 'reconnecting');
  await app.close();
  expect(states.all.at(-1)).toBe('closed');
});

it('the shutdown logs suppressed lines of every instance, and failures of handlers during the shutdown', async () => {
  const started = new Mailbox<number>();
  const release = new EventEmitter();
  @Injectable()
  class Failing {
    @Listener('orders')
    first(id: number) {
      return this.fail(id);
    }
    @Listener('payments', { instance: 'second' })
    second(id: number) {
      return this.fail(id);
    }
    private async fail(id: number): Promise<void> {
      started.push(id);
      if (id === 3) await once(release, 'now');
      throw new Error(`broken ${id}`);
    }
  }
  const app = await database.start({
    providers: [Failing],
    imports: [PgPubSubModule.forRoot({ name: 'second' })],
  });
  await app.pubsub.notifyMany('orders', [1, 2, 3]);
  await app.app.get<PubSubService>(getPubSubToken('second')).notifyMany('payments', [1, 2, 3]);
  await started.take(6);
  const closing = app.close();
  release.emit('now');
  await closing;

  const line = (listener: string, channel: string) =>
    `Listener ${listener} failed on channel "${channel}": broken`;
  const errors = app.log.all.filter(({ level }) => level === 'error').map(({ text }) => text);
  expect(errors.map((text) => text.replace(/\([\d.]+ m?s ago/, '(N ago')).toSorted()).toEqual([
    `${line('Failing.first', 'orders')} 1`,
    `${line('Failing.first', 'orders')} 3 (N ago, and 1 more like this)`,
    `${line('Failing.second', 'payments')} 1`,
    `${line('Failing.second', 'payments')} 3 (N ago, and 1 more like this)`,
  ]);
});
