import type { Gap } from 'nestjs-pgpubsub';
import { filter, firstValueFrom } from 'rxjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();
let proxy: TcpProxy;
beforeAll(async () => {
  proxy = await TcpProxy.start(database.url);
});
afterAll(() => proxy[Symbol.asyncDispose]());

const start = (listen: boolean) =>
  database.start({
    options: { listen, connection: proxy.url, reconnect: { minDelayMs: 10, maxDelayMs: 50 } },
  });

const isListening = (app: TestApp) =>
  firstValueFrom(app.pubsub.connection$.pipe(filter((state) => state === 'listening')));

// An error event without a listener ends the process: vitest reports it, and the run fails.
describe('a LISTEN connection that the server terminates in the packet with its "ready for query"', () => {
  it('makes the start fail with the reason when it is the first one', async () => {
    proxy.failAfterReady(1);
    const started = start(true);
    await expect(started).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
    await expect(started).rejects.toThrow(
      'expected the LISTEN connection to open, got: terminating connection due to administrator command',
    );
    expect(proxy.failuresLeft).toBe(0);
  });

  it('is opened again when a channel is observed later', async () => {
    await using app = await start(false);
    proxy.failAfterReady(2);
    const received = new Mailbox<unknown>();
    app.pubsub.observe('orders').subscribe(({ payload }) => received.push(payload));
    await isListening(app);
    expect(proxy.failuresLeft).toBe(0);
    await app.pubsub.notify('orders', 1);
    expect(await received.next()).toBe(1);
  });

  it('is opened again after a loss', async () => {
    await using app = await start(true);
    const received = new Mailbox<unknown>();
    const gaps = new Mailbox<Gap>();
    app.pubsub.observe('orders').subscribe(({ payload }) => received.push(payload));
    app.pubsub.gaps$.subscribe(gaps.push);
    for (let round = 0; round < 3; round++) {
      proxy.failAfterReady(3);
      await eventually(async () => (await database.terminateListeners()) > 0, 'there is a session to end');
      await gaps.next();
      expect(proxy.failuresLeft).toBe(0);
      await app.pubsub.notify('orders', round);
      expect(await received.next()).toBe(round);
    }
    const lines = app.log.all.filter(({ text }) => text.startsWith('Could not open the LISTEN connection'));
    expect(lines.at(-1)?.text).toContain('terminating connection due to administrator command');
  });
});
