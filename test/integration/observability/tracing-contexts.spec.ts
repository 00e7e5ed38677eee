import { Injectable } from '@nestjs/common';
import { SpanStatusCode } from '@opentelemetry/api';
import { AlwaysOffSampler } from '@opentelemetry/sdk-trace-base';
import { Listener, type Notification } from 'nestjs-pgpubsub';
import { describe, expect, it } from 'vitest';
import { collector } from '../../support/listeners.js';
import { Mailbox } from '../../support/mailbox.js';
import { Telemetry, linksOf, traceparentOf } from '../../support/telemetry.js';
import { Author, Mails, Orders, useTracedApp } from '../../support/traced-app.js';

const { database, start } = useTracedApp();

/** The texts that any client receives on a channel. */
async function wire(channel: string): Promise<Mailbox<string>> {
  const client = await database.client();
  const texts = new Mailbox<string>();
  client.on('notification', ({ payload }) => texts.push(payload ?? ''));
  await client.query(`listen ${channel}`);
  return texts;
}

describe('table changes', () => {
  const { provider } = collector(Author);

  it.each([
    ['withContext()', {}],
    ['the context of the module', { context: () => ({ tenant: 'a' }) }],
  ])('carry the trace with %s', async (how, options) => {
    await using telemetry = new Telemetry();
    await using app = await start({ providers: [provider], options });
    const insert = () => app.dataSource.manager.insert(Author, { name: how });
    const request = await telemetry.inSpan(async () => {
      if ('context' in options) await insert();
      else await app.pubsub.withContext({ tenant: 'a' }, (manager) => manager.insert(Author, { name: how }));
    });

    const handled = await telemetry.one('process author');
    expect(linksOf(handled)).toEqual([request.spanId]);
  });

  it('carry the trace of a transaction with the context of the module', async () => {
    await using telemetry = new Telemetry();
    await using app = await start({ providers: [provider], options: { context: () => ({}) } });
    const request = await telemetry.inSpan(() =>
      app.dataSource.transaction((manager) => manager.insert(Author, { name: 'transaction' })),
    );

    expect(linksOf(await telemetry.one('process author'))).toEqual([request.spanId]);
  });

  it('carry the trace after withContext(), too', async () => {
    await using telemetry = new Telemetry();
    await using app = await start({ providers: [provider], options: { context: () => ({ tenant: 'a' }) } });
    const request = await telemetry.inSpan(() =>
      app.dataSource.transaction(async (manager) => {
        await app.pubsub.withContext({ user: 1 }, () => Promise.resolve(), { manager });
        await manager.insert(Author, { name: 'behind' });
      }),
    );

    expect(linksOf(await telemetry.one('process author'))).toEqual([request.spanId]);
  });

  it('carry the trace of the handler that causes them, with the context of the module', async () => {
    await using telemetry = new Telemetry();
    let failures = 0;
    @Injectable()
    class Handler {
      @Listener(Mails)
      async receive(id: number, { manager }: Notification) {
        await manager.insert(Author, { name: `${id}` });
        if (id === 2 && failures++ === 0) throw new Error('once');
      }
    }
    const { provider: authors, received } = collector(Author);
    const options = { context: () => ({ tenant: 'a' }) };
    await using app = await start({ providers: [Handler, authors], options });
    await app.pubsub.pause();
    await app.pubsub.notifyMany(Mails, [1, 2, 3]);
    await app.pubsub.resume();
    const changes = await received.take(3);

    const handled = await telemetry.named('process mails', 4);
    const succeeded = handled.filter(({ status }) => status.code !== SpanStatusCode.ERROR);
    const carried = changes.map(({ notification }) => notification.context);
    expect(carried).toEqual(
      succeeded.map((span) => ({ tenant: 'a', traceparent: traceparentOf(span.spanContext()) })),
    );
  });

  it('carry no trace of another handler', async () => {
    const sampler = {
      isOn: true,
      shouldSample: () => ({ decision: sampler.isOn ? 2 : 0 }),
      toString: () => 'switch',
    };
    await using telemetry = new Telemetry(sampler);
    let failures = 0;
    @Injectable()
    class Handler {
      @Listener(Mails)
      async receive(id: number, { manager }: Notification) {
        await manager.insert(Author, { name: `${id}` });
        sampler.isOn = false; // only for the first handler
        if (id === 2 && failures++ === 0) throw new Error('once');
      }
    }
    const { provider: authors, received } = collector(Author);
    const options = { context: () => ({ tenant: 'a' }) };
    await using app = await start({ providers: [Handler, authors], options });
    await app.pubsub.pause();
    await app.pubsub.notifyMany(Mails, [1, 2, 3]);
    await app.pubsub.resume();
    const changes = await received.take(3);

    const [first, ...others] = changes.map(({ notification }) => notification.context);
    const handled = await telemetry.one('process mails');
    expect(first).toEqual({ tenant: 'a', traceparent: traceparentOf(handled.spanContext()) });
    expect(others).toEqual([{ tenant: 'a' }, { tenant: 'a' }]);
  });

  it('carry no trace without a context', async () => {
    await using telemetry = new Telemetry();
    await using app = await start({ providers: [provider] });
    await telemetry.inSpan(() => app.dataSource.manager.insert(Author, { name: 'plain' }));

    expect((await telemetry.one('process author')).links).toEqual([]);
  });
});

describe('a notification on the wire', () => {
  it('is the plain JSON of the payload without an SDK', async () => {
    const texts = await wire('orders');
    const { provider, received } = collector(Orders);
    await using app = await start({ providers: [provider] });
    await app.pubsub.notify(Orders, { id: 1 });

    expect(await texts.next()).toBe('{"id":1}');
    expect((await received.next()).notification.context).toEqual({});
  });

  it.each([
    ['the module disables the trace context', undefined, false],
    ['the span is not sampled', new AlwaysOffSampler(), true],
  ])('is the plain JSON when %s', async (_when, sampler, traceContext) => {
    await using telemetry = new Telemetry(sampler);
    const texts = await wire('orders');
    const { provider, received } = collector(Orders);
    await using app = await start({ providers: [provider], options: { traceContext } });
    await telemetry.inSpan(() => app.pubsub.notify(Orders, { id: 1 }));

    expect(await texts.next()).toBe('{"id":1}');
    await received.next();
    if (sampler === undefined) expect((await telemetry.one('process orders')).links).toEqual([]);
    else expect(telemetry.spans).toEqual([]);
  });

  it('has no trace when the payload leaves no room for it', async () => {
    await using telemetry = new Telemetry();
    const texts = await wire('large');
    await using app = await start();
    const [text, least] = ['x'.repeat(7_997), 'x'.repeat(7_850)];
    await app.pubsub.notify('large', text);
    await app.pubsub.notify('large', least);

    expect(await texts.next()).toBe(`"${text}"`);
    expect(JSON.parse(await texts.next())).toMatchObject({
      context: { traceparent: expect.any(String) as string },
    });
    expect(await telemetry.named('send', 2)).toHaveLength(2);
  });

  it('has the context of the caller instead of the trace of the call', async () => {
    await using telemetry = new Telemetry();
    const texts = await wire('orders');
    await using app = await start();
    const context = { traceparent: 'mine', tenant: 'a' };
    await telemetry.inSpan(() => app.pubsub.notify(Orders, { id: 1 }, { context }));

    expect(JSON.parse(await texts.next())).toEqual({ pgpubsub: 1, context, payload: { id: 1 } });
  });

  it('is sent once for equal notifications of a transaction, as without an SDK', async () => {
    await using telemetry = new Telemetry();
    const texts = await wire('orders');
    await using app = await start();
    const send = () =>
      app.dataSource.transaction(async (manager) => {
        for (const id of [1, 1, 2]) await app.pubsub.notify(Orders, { id }, { manager });
      });
    const request = await telemetry.inSpan(send);
    await send();

    const context = { traceparent: traceparentOf(request) };
    const [first, second, ...plain] = await texts.take(4);
    expect([first, second].map((text) => JSON.parse(String(text)) as unknown)).toEqual([
      { pgpubsub: 1, context, payload: { id: 1 } },
      { pgpubsub: 1, context, payload: { id: 2 } },
    ]);
    expect(plain).toEqual(['{"id":1}', '{"id":2}']);
  });
});
