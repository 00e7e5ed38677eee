import { Injectable } from '@nestjs/common';
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { Listener, type Notification } from 'nestjs-pgpubsub';
import { describe, expect, it } from 'vitest';
import { VERSION } from '../../../lib/common/version.js';
import type { TestApp } from '../../support/app.js';
import { collector } from '../../support/listeners.js';
import { Mailbox } from '../../support/mailbox.js';
import { Telemetry, idOf, linksOf, traceparentOf } from '../../support/telemetry.js';
import { Mails, Orders, useTracedApp } from '../../support/traced-app.js';

const { start } = useTracedApp();

describe('an OpenTelemetry SDK', () => {
  it('records a span when a broadcast is sent, and a linked one when it is handled', async () => {
    await using telemetry = new Telemetry();
    const { provider, received } = collector(Orders, { name: 'shipping' });
    await using app = await start({ providers: [provider] });
    const request = await telemetry.inSpan(() => app.pubsub.notify(Orders, { id: 1 }));
    const { notification } = await received.next();

    const sent = await telemetry.one('send orders');
    expect(sent.instrumentationScope).toMatchObject({ name: 'nestjs-pgpubsub', version: VERSION });
    expect(await telemetry.meterScopes()).toEqual([`nestjs-pgpubsub ${VERSION}`]);
    expect(sent.kind).toBe(SpanKind.PRODUCER);
    expect(sent.parentSpanContext?.spanId).toBe(request.spanId);
    expect(sent.attributes).toEqual({
      'messaging.system': 'postgresql',
      'messaging.destination.name': 'orders',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
    });
    const handled = await telemetry.one('process orders');
    expect(handled.kind).toBe(SpanKind.CONSUMER);
    expect(handled.parentSpanContext).toBeUndefined();
    expect(handled.spanContext().traceId).not.toBe(request.traceId);
    expect(linksOf(handled)).toEqual([idOf(sent)]);
    expect(handled.attributes).toEqual({
      'messaging.system': 'postgresql',
      'messaging.destination.name': 'orders',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.consumer.group.name': 'shipping',
    });
    expect(notification.context).toEqual({ traceparent: traceparentOf(sent.spanContext()) });
  });

  it('records linked spans for a stored notification, and the work of its handler within its span', async () => {
    await using telemetry = new Telemetry();
    const ids = new Mailbox<string | null>();
    const { provider } = collector(Orders);
    @Injectable()
    class Handler {
      @Listener(Mails)
      async receive(id: number, { manager, id: stored }: Notification) {
        ids.push(stored);
        trace.getTracer('application').startSpan('render').end();
        await app.pubsub.notify(Orders, { id }, { manager });
      }
    }
    await using app = await start({ providers: [Handler, provider] });
    await app.pubsub.notify(Mails, 1);

    const handled = await telemetry.one('process mails');
    expect(linksOf(handled)).toEqual([idOf(await telemetry.one('send mails'))]);
    expect(handled.attributes).toMatchObject({
      'messaging.message.id': await ids.next(),
      'pgpubsub.attempt': 1,
      'messaging.consumer.group.name': 'Handler.receive',
    });
    expect((await telemetry.one('render')).parentSpanContext?.spanId).toBe(idOf(handled));
    const sent = await telemetry.one('send orders');
    expect(sent.parentSpanContext?.spanId).toBe(idOf(handled));
    // in a transaction the caller's span is sent, so that equal notifications stay equal
    expect(linksOf(await telemetry.one('process orders'))).toEqual([idOf(handled)]);
  });

  it('records one span for a batch, with links to every sender', async () => {
    await using telemetry = new Telemetry();
    const { provider } = collector(Mails, { batch: true });
    await using app = await start({ providers: [provider] });
    await app.pubsub.pause();
    await app.pubsub.recover(); // waits for the claim of the start
    await app.pubsub.notify(Mails, 1);
    await app.pubsub.notifyMany(Mails, [2, 3]);
    await app.pubsub.resume();

    const [first, second] = await telemetry.named('send mails', 2);
    if (!first || !second) throw new Error('expected two spans');
    expect(first.attributes['messaging.batch.message_count']).toBeUndefined();
    expect(second.attributes['messaging.batch.message_count']).toBe(2);
    const handled = await telemetry.one('process mails');
    expect(handled.attributes['messaging.batch.message_count']).toBe(3);
    expect(linksOf(handled)).toEqual([idOf(first), idOf(second), idOf(second)]);
    const ids = handled.links.map(({ attributes }) => Number(attributes?.['messaging.message.id']));
    expect(ids).toEqual([ids[0], Number(ids[0]) + 1, Number(ids[0]) + 2]);
  });

  it('records the error of a failing handler in its span, for each attempt', async () => {
    await using telemetry = new Telemetry();
    @Injectable()
    class Handler {
      @Listener(Orders)
      order() {
        throw new RangeError('no such order');
      }
      @Listener(Mails, { retry: { maxAttempts: 2 } })
      mail() {
        return Promise.reject(new TypeError('no such mail'));
      }
    }
    await using app = await start({ providers: [Handler] });
    await app.pubsub.notify(Orders, { id: 1 });
    await app.pubsub.notify(Mails, 1);

    const failed = await telemetry.one('process orders');
    expect(failed.status).toEqual({ code: SpanStatusCode.ERROR, message: 'no such order' });
    expect(failed.attributes['error.type']).toBe('RangeError');
    expect(failed.events).toMatchObject([
      { name: 'exception', attributes: { 'exception.message': 'no such order' } },
    ]);
    const attempts = await telemetry.named('process mails', 2);
    expect(attempts.map(({ attributes }) => attributes['pgpubsub.attempt'])).toEqual([1, 2]);
    expect(attempts.map(({ status }) => status.message)).toEqual(['no such mail', 'no such mail']);
    const links = attempts.map(linksOf);
    expect(links[0]).toEqual(links[1]);
  });

  it('records the error of a notification that cannot be sent in its span', async () => {
    await using telemetry = new Telemetry();
    await using app = await start();
    const sent = app.pubsub.notify(Orders, { id: 'x'.repeat(8_000) } as never);
    await expect(sent).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });

    const span = await telemetry.one('send orders');
    expect(span.status.code).toBe(SpanStatusCode.ERROR);
    expect(span.attributes['error.type']).toBe('PAYLOAD_TOO_LARGE');
  });

  it('records spans of handlers outside of the trace in which the application was started', async () => {
    await using telemetry = new Telemetry();
    const { provider } = collector(Mails);
    let started: TestApp | undefined;
    await telemetry.inSpan(async () => {
      started = await start({ providers: [provider] });
    });
    if (!started) throw new Error('expected an application');
    await using app = started;
    await app.pubsub.notify(Mails, 1);

    expect((await telemetry.one('process mails')).parentSpanContext).toBeUndefined();
  });

  it('does not use channel names that are created at run time in names of spans', async () => {
    await using telemetry = new Telemetry();
    await using app = await start();
    await app.pubsub.notify('user-4711', 1);

    expect((await telemetry.one('send')).attributes['messaging.destination.name']).toBe('user-4711');
  });
});
