import { Injectable } from '@nestjs/common';
import { Listener, NonRetryableError, defineChannel, type Notification } from 'nestjs-pgpubsub';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { METRICS } from '../../../lib/observability/metrics.definitions.js';
import { collector } from '../../support/listeners.js';
import { eventually, Mailbox } from '../../support/mailbox.js';
import { range, terminate, useStored } from '../../support/stored.js';
import { Telemetry, type Recorded } from '../../support/telemetry.js';

const { start, settled, database } = useStored();

const Orders = defineChannel<number>('orders', { schema: z.number() });
const Mails = defineChannel<string>('mails', { delivery: 'exactly-once' });

/** Writes `name {attributes}: value`, without attributes that are the same for all. */
function worded(recorded: readonly Recorded[]): string[] {
  const lines = recorded.map(({ name, value, attributes }) => {
    const said = Object.entries(attributes)
      .filter(([attribute]) => attribute !== 'messaging.system' && attribute !== 'messaging.operation.type')
      .map(([, text]) => String(text));
    return `${name} {${said.join(', ')}}: ${value}`;
  });
  return lines.toSorted();
}

/** Resolves when the metric has this value, over all attributes. */
const reaches = (telemetry: Telemetry, name: string, wanted: number) =>
  eventually(async () => {
    const points = (await telemetry.recorded()).filter((recorded) => recorded.name === name);
    return points.reduce((sum, { value }) => sum + value, 0) === wanted;
  }, `${name} is ${wanted}`);

it('metrics count sent, received, handled and failed broadcasts', async () => {
  await using telemetry = new Telemetry();
  @Injectable()
  class Handler {
    @Listener(Orders, { name: 'shipping' })
    receive(order: number) {
      if (order === 3) throw new RangeError('no such order');
    }
  }
  await using app = await start({ providers: [Handler] });
  await app.pubsub.notify(Orders, 1);
  await app.pubsub.notifyMany(Orders, [2, 3]);
  await app.pubsub.notify('user-4711', 1);
  await app.pubsub.notifyMany(Orders, []);
  await expect(app.pubsub.notify(Orders, 'x' as never)).rejects.toMatchObject({ code: 'PAYLOAD_REJECTED' });
  await database.query(`select pg_notify('orders', '"not a number"')`);
  await reaches(telemetry, 'pgpubsub.notifications.rejected', 1);
  await reaches(telemetry, 'pgpubsub.notifications.handled', 2);

  expect(worded(await telemetry.recorded())).toEqual([
    'messaging.client.consumed.messages {orders, receive}: 4',
    'messaging.client.operation.duration {_OTHER, send, broadcast}: 1',
    'messaging.client.operation.duration {orders, PAYLOAD_REJECTED, send, broadcast}: 1',
    'messaging.client.operation.duration {orders, send, broadcast}: 2',
    'messaging.client.sent.messages {_OTHER, send, broadcast}: 1',
    'messaging.client.sent.messages {orders, PAYLOAD_REJECTED, send, broadcast}: 1',
    'messaging.client.sent.messages {orders, send, broadcast}: 3',
    'messaging.process.duration {orders, shipping, process, RangeError}: 1',
    'messaging.process.duration {orders, shipping, process}: 2',
    'pgpubsub.notifications.failed {orders, shipping, RangeError}: 1',
    'pgpubsub.notifications.handled {orders, shipping}: 2',
    'pgpubsub.notifications.rejected {orders, PAYLOAD_REJECTED}: 1',
  ]);
});

it('metrics count stored, claimed, retried and dead notifications, and measure durations and ages', async () => {
  await using telemetry = new Telemetry();
  const began = performance.now();
  let attempts = 0;
  @Injectable()
  class Handler {
    @Listener(Mails, { name: 'mailer' })
    receive(mail: string) {
      if (mail === 'late' && attempts++ === 0) throw new Error('try again');
      if (mail === 'bad') throw new NonRetryableError('no such address');
    }
  }
  await using app = await start({ providers: [Handler], options: { batch: { maxTimeMs: 60_000 } } });
  await app.pubsub.pause();
  await app.pubsub.notifyMany(Mails, ['good', 'late', 'bad']);
  await database.query(`update pgpubsub_notification set created_at = created_at - interval '1 hour'`);
  await app.pubsub.resume();
  await settled(Mails);
  await reaches(telemetry, 'pgpubsub.notifications.handled', 2);

  const recorded = await telemetry.recorded();
  const elapsed = (performance.now() - began) / 1_000;
  const sumOf = (name: string) =>
    recorded.filter((each) => each.name === name).reduce((total, { sum }) => total + sum, 0);
  expect(sumOf('pgpubsub.claim.size')).toBe(4);
  expect(sumOf('pgpubsub.notification.age')).toBeGreaterThan(2 * 3_600);
  expect(sumOf('pgpubsub.notification.age')).toBeLessThan(2 * (3_600 + elapsed));
  for (const name of [
    'pgpubsub.claim.duration',
    'messaging.process.duration',
    'messaging.client.operation.duration',
  ]) {
    expect(sumOf(name)).toBeGreaterThan(0);
    expect(sumOf(name)).toBeLessThan(elapsed);
  }
  expect(worded(recorded)).toEqual([
    'messaging.client.consumed.messages {mails, claim}: 4',
    'messaging.client.operation.duration {mails, send, exactly-once}: 1',
    'messaging.client.sent.messages {mails, send, exactly-once}: 3',
    'messaging.process.duration {mails, mailer, process, Error}: 1',
    'messaging.process.duration {mails, mailer, process, NonRetryableError}: 1',
    'messaging.process.duration {mails, mailer, process}: 2',
    'pgpubsub.claim.duration {mails}: 2',
    'pgpubsub.claim.size {mails}: 2',
    'pgpubsub.notification.age {mails, mailer}: 2',
    'pgpubsub.notifications.dead {mails, mailer, NonRetryableError}: 1',
    'pgpubsub.notifications.failed {mails, mailer, Error}: 1',
    'pgpubsub.notifications.failed {mails, mailer, NonRetryableError}: 1',
    'pgpubsub.notifications.handled {mails, mailer}: 2',
    'pgpubsub.notifications.retried {mails, mailer, Error}: 1',
  ]);
});

it('metrics count a batch as one call and its notifications one by one', async () => {
  await using telemetry = new Telemetry();
  const { provider } = collector(Mails, { batch: true, name: 'mailer' });
  await using app = await start({ providers: [provider] });
  await app.pubsub.pause();
  await app.pubsub.notifyMany(Mails, ['a', 'b', 'c']);
  await app.pubsub.resume();
  await reaches(telemetry, 'pgpubsub.notifications.handled', 3);

  const recorded = worded(await telemetry.recorded());
  expect(recorded).toContain('messaging.process.duration {mails, mailer, process}: 1');
  expect(recorded).toContain('pgpubsub.notification.age {mails, mailer}: 3');
});

it('metrics count dropped notifications, including those that wait at the shutdown', async () => {
  await using telemetry = new Telemetry();
  const started = new Mailbox<number>();
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  @Injectable()
  class Handler {
    @Listener(Orders, { name: 'shipping' })
    async receive(order: number) {
      started.push(order);
      await released;
    }
  }
  const options = { buffer: { maxSize: 2, overflow: 'drop-newest' } } as const;
  await using app = await start({ providers: [Handler], options });
  await app.pubsub.notifyMany(Orders, range(6));
  await started.next();
  await reaches(telemetry, 'pgpubsub.notifications.dropped', 3);
  const closing = app.close();
  await reaches(telemetry, 'pgpubsub.notifications.dropped', 5);
  release();
  await closing;

  expect(worded(await telemetry.recorded())).toContain(
    'pgpubsub.notifications.dropped {orders, shipping}: 5',
  );
});

it('metrics count reconnects, gaps and interrupted claims', async () => {
  await using telemetry = new Telemetry();
  let isFirst = true;
  @Injectable()
  class Handler {
    @Listener(Mails, { name: 'mailer' })
    async receive(_mail: string, { manager }: Notification) {
      if (!isFirst) return;
      isFirst = false;
      await terminate(manager);
    }
  }
  await using app = await start({ providers: [Handler] });
  await database.terminateListeners();
  await reaches(telemetry, 'pgpubsub.gaps', 1);
  await app.pubsub.notify(Mails, 'deadly');
  await settled(Mails);
  await reaches(telemetry, 'pgpubsub.notifications.handled', 1);

  const recorded = (await telemetry.recorded()).filter(({ name }) =>
    /gaps|reconnects|failures|interrupted/.test(name),
  );
  expect(worded(recorded)).toEqual([
    expect.stringMatching(/^pgpubsub\.claim\.failures \{mails, \w+\}: 1$/),
    'pgpubsub.gaps {}: 1',
    'pgpubsub.notifications.interrupted {mails}: 1',
    'pgpubsub.reconnects {}: 1',
  ]);
});

it('metrics contain the name of a channel whose listeners are switched off', async () => {
  await using telemetry = new Telemetry();
  const { provider } = collector('cancellations');
  await using app = await start({ providers: [provider], options: { listen: false } });
  await app.pubsub.notify('cancellations', 1);

  expect(worded(await telemetry.recorded())).toContain(
    'messaging.client.sent.messages {cancellations, send, broadcast}: 1',
  );
});

it('metrics have a unit', async () => {
  await using telemetry = new Telemetry();
  await using app = await start();
  await app.pubsub.notify(Orders, 1);

  for (const { name, unit } of await telemetry.recorded())
    expect(unit).toBe(METRICS[name as keyof typeof METRICS].unit);
});
