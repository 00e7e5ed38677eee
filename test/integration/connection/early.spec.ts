import { Injectable, type OnModuleInit } from '@nestjs/common';
import { OnGap, PubSubService, type Gap } from 'nestjs-pgpubsub';
import { filter, firstValueFrom } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { openListenConnection } from '../../support/listen-connection.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();

const address = () => ({ connectionString: database.url, application_name: 'test:listen' });
const nowhere = { host: '127.0.0.1', port: 1, database: 'none', user: 'nobody' };

/** Opens a connection whose first attempts fail. */
function openAfter(failures: number) {
  let attempts = 0;
  return openListenConnection(database, { config: () => (attempts++ < failures ? nowhere : address()) });
}

const openSockets = () => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;

describe('a channel that is observed in onModuleInit()', () => {
  /** Observes a channel and runs `early` before the application has started. */
  async function startWith(early: (pubsub: PubSubService) => Promise<unknown>, listen?: false) {
    const received = new Mailbox<unknown>();
    const gaps = new Mailbox<Gap>();
    @Injectable()
    class Early implements OnModuleInit {
      constructor(private readonly pubsub: PubSubService) {}
      async onModuleInit() {
        this.pubsub.observe('early').subscribe(({ payload }) => received.push(payload));
        await early(this.pubsub);
      }
      @OnGap()
      onGap(gap: Gap) {
        gaps.push(gap);
      }
    }
    Reflect.defineMetadata('design:paramtypes', [PubSubService], Early);
    const options = listen === undefined ? {} : { listen };
    const app = await database.start({ providers: [Early], options });
    return { app, received, gaps };
  }

  const whenListening = (pubsub: PubSubService) =>
    firstValueFrom(pubsub.connection$.pipe(filter((state) => state === 'listening')));

  it('receives notifications of other clients before the application has started', async () => {
    const { app, received, gaps } = await startWith(async (pubsub) => {
      await whenListening(pubsub);
      await database.query("notify early, '1'");
    });
    await using _app = app;
    expect(await received.next()).toBe(1);
    expect(await database.listenSessions()).toBe(1);
    await app.pubsub.notify('early', 2);
    expect(await received.next()).toBe(2);
    for (const gap of gaps.all) expect(gap.channels).toEqual(['early']); // on a busy machine the session opens late
  });

  it('receives the next notification of its process, or a gap is reported', async () => {
    const { app, received, gaps } = await startWith((pubsub) => pubsub.notify('early', 1));
    await using _app = app;
    await eventually(() => received.all.length + gaps.all.length > 0, 'it was heard, or a gap told');
  });

  it('keeps its session in a process without listeners', async () => {
    const { app, received } = await startWith(whenListening, false);
    await using _app = app;
    await app.pubsub.notify('early', 1);
    expect(await received.next()).toBe(1);
    expect(await database.listenSessions()).toBe(1);
  });
});

describe('a LISTEN connection that is needed before its start', () => {
  it('opens immediately, and start() uses it', async () => {
    await using early = await openListenConnection(database);
    early.connection.listen('orders');
    expect(early.connection.isListenPending('orders')).toBe(true);
    await early.states.find((state) => state === 'listening');
    await early.connection.start();
    await early.notify('orders', 'heard');
    expect(await early.received.next()).toBe('heard');
    expect(early.states.all).toEqual(['closed', 'connecting', 'listening']);
    expect(await database.listenSessions()).toBe(1);
  });

  it('is used by start() while it opens, with the channels of listeners in force', async () => {
    await using early = await openListenConnection(database);
    early.connection.listen('observed');
    await early.states.find((state) => state === 'connecting');
    early.connection.listen('orders', { first: true });
    await early.connection.start();
    await early.notify('orders', 'heard');
    expect(await early.received.next()).toBe('heard');
    expect(early.states.all).toEqual(['closed', 'connecting', 'listening']);
  });

  it('does not open while the DataSource is not usable, and start() reports the gap', async () => {
    await using early = await openListenConnection(database, { canConnect: () => false });
    early.connection.listen('observed');
    await early.connection.whenListening('observed');
    expect(early.states.all).toEqual(['closed']);
    await early.connection.start();
    expect((await early.gaps.next()).channels).toEqual(['observed']);
  });

  it('is opened by start() after a failed first attempt, which reports the gap', async () => {
    await using early = await openAfter(1);
    const before = Date.now();
    early.connection.listen('orders');
    await eventually(() => early.states.all.length === 3, 'the first attempt has failed');
    expect(early.states.all).toEqual(['closed', 'connecting', 'closed']);
    await early.connection.start();
    const gap = await early.gaps.next();
    expect(gap.channels).toEqual(['orders']);
    expect(gap.from.getTime()).toBeGreaterThanOrEqual(before - 1); // the time is rounded
    await early.notify('orders', 'heard');
    expect(await early.received.next()).toBe('heard');
  });

  it('makes start() fail when its attempt fails, too', async () => {
    await using early = await openAfter(2);
    early.connection.listen('orders');
    await expect(early.connection.start()).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
  });

  it('retries until it opens in a process without listeners', async () => {
    await using early = await openAfter(3);
    early.connection.listen('orders');
    await eventually(() => early.states.all.length === 3, 'the first attempt has failed');
    early.connection.startWhenWanted();
    await early.states.find((state) => state === 'listening');
    expect((await early.gaps.next()).channels).toEqual(['orders']);
  });

  it('is reopened by start() after a loss, which reports the gap', async () => {
    await using early = await openListenConnection(database);
    early.connection.listen('orders');
    await early.states.find((state) => state === 'listening');
    expect(await database.terminateListeners()).toBe(1);
    await eventually(() => early.states.all.at(-1) === 'closed', 'it is closed');
    expect(early.gaps.all).toEqual([]);
    await early.connection.start();
    expect((await early.gaps.next()).channels).toEqual(['orders']);
    await early.notify('orders', 'heard');
    expect(await early.received.next()).toBe('heard');
  });

  it('is closed by stop() without a start', async () => {
    const early = await openListenConnection(database);
    early.connection.listen('orders');
    await early.states.find((state) => state === 'listening');
    await early.connection.stop();
    expect(await database.listenSessions()).toBe(0);
  });

  it('is closed by stop() while it opens', async () => {
    const early = await openListenConnection(database);
    early.connection.listen('orders');
    await early.states.find((state) => state === 'connecting');
    await early.connection.stop();
    await eventually(async () => (await database.listenSessions()) === 0, 'no session is left');
  });

  it('does not keep a process alive before its start', async () => {
    await using early = await openListenConnection(database);
    const before = openSockets();
    early.connection.listen('orders');
    await early.states.find((state) => state === 'listening');
    expect(openSockets()).toBe(before);
    await early.connection.start();
    expect(openSockets()).toBe(before + 1);
  });
});
