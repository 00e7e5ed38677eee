import { Injectable } from '@nestjs/common';
import {
  Listener,
  NotifyChanges,
  OnInsert,
  OnUpdate,
  defineChannel,
  type PubSubEvent,
} from 'nestjs-pgpubsub';
import { Entity, PrimaryColumn } from 'typeorm';
import { expect, it } from 'vitest';
import type { TestApp } from '../../support/app.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { useStored } from '../../support/stored.js';

const { start, settled, database } = useStored();

const Mails = defineChannel<string>('mails', { delivery: 'exactly-once' });

@Entity()
@NotifyChanges({ delivery: 'exactly-once', on: ['insert', 'update'] })
class Author {
  @PrimaryColumn('int') id!: number;
}

/** Collects the events of `pubsub.events$` from now on; `of` finds one by its type. */
function watch(app: TestApp) {
  const events = new Mailbox<PubSubEvent>();
  app.pubsub.events$.subscribe(events.push);
  return {
    events,
    of: async <Type extends PubSubEvent['type']>(type: Type) =>
      (await events.find((event) => event.type === type)) as Extract<PubSubEvent, { type: Type }>,
  };
}

it('events$ reports broadcasts that are sent, received, handled, and rejected', async () => {
  @Injectable()
  class Handler {
    @Listener('orders')
    receive(order: number) {
      if (order === 3) throw new RangeError('no such order');
    }
  }
  await using app = await start({ providers: [Handler] });
  const { of, events } = watch(app);
  await app.pubsub.notifyMany('orders', [1, 2, 3]);

  const [channel, listener] = ['orders', 'Handler.receive'];
  expect(await of('published')).toEqual({
    type: 'published',
    channel,
    count: 3,
    durationMs: expect.any(Number) as number,
  });
  expect(await of('received')).toEqual({ type: 'received', channel, count: 3 });
  expect(await of('handled')).toEqual({
    type: 'handled',
    channel,
    listener,
    count: expect.any(Number) as number,
  });
  const handled = () =>
    events.all.reduce((sum, event) => sum + (event.type === 'handled' ? event.count : 0), 0);
  await eventually(() => handled() === 2, 'two are handled'); // a busy machine may report them one by one
  expect(await of('failed')).toMatchObject({ channel, listener, error: new RangeError('no such order') });
  await expect(app.pubsub.notify('orders', 'x'.repeat(8_000))).rejects.toThrow('at most 7999 bytes');
  expect(await of('publish-failed')).toMatchObject({
    channel, delivery: 'broadcast', count: 1, error: { code: 'PAYLOAD_TOO_LARGE' },
  }); // prettier-ignore
});

it('events$ reports stored notifications after the commit', async () => {
  @Injectable()
  class Handler {
    @Listener(Mails, { retry: { maxAttempts: 1 } })
    receive(mail: string) {
      if (mail === 'bad') throw new RangeError('no such address');
    }
  }
  await using app = await start({ providers: [Handler], options: { batch: { maxTimeMs: 60_000 } } });
  const { of, events } = watch(app);
  await app.pubsub.pause();
  await app.pubsub.notifyMany(Mails, ['good', 'bad']);
  await app.pubsub.resume();
  await settled(Mails);

  const [channel, listener] = ['mails', 'Handler.receive'];
  expect(await of('stored')).toMatchObject({ channel, count: 2 });
  expect(await of('handled')).toEqual({ type: 'handled', channel, listener, count: 1 });
  expect(await of('stored-failed')).toMatchObject({ channel, listener, attempt: 1, delayMs: undefined });
  const claimed = await of('claimed');
  expect(claimed).toMatchObject({ channel, size: 2, handled: 1, failed: 1 });
  expect(claimed.durationMs).toBeGreaterThan(0);
  expect(events.all.filter(({ type }) => type === 'claimed')).toHaveLength(1); // an empty claim has no event
});

it('events$ reports a handled table change only for listeners of its operation', async () => {
  @Injectable()
  class Handler {
    @OnInsert(Author) created() {}
    @OnUpdate(Author) updated() {}
  }
  const options = { verifySchema: false } as const;
  await using app = await start({ providers: [Handler], dataSource: { entities: [Author] }, options });
  const { events, of } = watch(app);
  const change = { operation: 'insert', schema: 'public', table: 'author', old: null, new: { id: 1 } };
  await database.query(`select pgpubsub_notify('author', $1)`, [JSON.stringify(change)]);
  await of('claimed');

  const handled = events.all.filter((event) => event.type === 'handled');
  expect(handled).toEqual([{ type: 'handled', channel: 'author', listener: 'Handler.created', count: 1 }]);
});

it('events$ reports the loss of the connection, the reconnect and the gap, and completes with the application', async () => {
  await using app = await start();
  const { of } = watch(app);
  const completed = new Promise<void>((resolve) => app.pubsub.events$.subscribe({ complete: resolve }));
  await database.terminateListeners();

  expect(await of('disconnected')).toMatchObject({ error: expect.any(Error) as Error });
  expect(await of('reconnected')).toEqual({ type: 'reconnected', attempt: 1 });
  expect((await of('gap')).gap.to).toBeInstanceOf(Date);
  await app.close();
  await completed;
});

it('events$ continues when the logger of the application throws', async () => {
  await using app = await start();
  const { of } = watch(app);
  const warnings = new Mailbox<Error>();
  process.once('warning', warnings.push);
  const write = app.log.push;
  Object.assign(app.log, { push: () => { throw new Error('disk full'); } }); // prettier-ignore
  await database.terminateListeners();

  await of('listening');
  expect((await warnings.next()).message).toBe('disk full');
  Object.assign(app.log, { push: write });
});
