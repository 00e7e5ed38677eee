import { defineChannel } from 'nestjs-pgpubsub';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import {
  committed,
  gate,
  handled,
  recordRuns,
  startBehindProxy,
  store,
} from '../../support/claims-behind-proxy.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { Effect, range, useStored } from '../../support/stored.js';
import type { TcpProxy } from '../../support/tcp-proxy.js';

/**
 * The server ends a new connection of the pool in the packet that says that it is ready. An `error`
 * event without a listener would end the process.
 */

const stored = useStored();
const ROWS = 3;

let thrown: Mailbox<unknown>;
const note = (error: unknown) => thrown.push(error);
beforeEach(() => {
  thrown = new Mailbox();
  process.on('uncaughtException', note);
});
afterEach(async () => {
  await new Promise(setImmediate); // errors of the current turn of the event loop
  process.off('uncaughtException', note);
  expect(thrown.all).toEqual([]);
});

const channelOf = (name: string) => defineChannel<number>(name, { delivery: 'exactly-once' });

/** Closes all connections of the pool, and lets that number of new ones fail. */
async function failNext({ dataSource }: TestApp, proxy: TcpProxy, times: number): Promise<void> {
  const pool = (dataSource.driver as unknown as { master: { totalCount: number; idleCount: number } }).master;
  await eventually(() => pool.totalCount === pool.idleCount, 'nothing uses the pool');
  proxy.cut();
  await eventually(() => pool.totalCount === 0, 'the pool is empty');
  proxy.failAfterReady(times);
  proxy.restore();
}

const allFailed = (proxy: TcpProxy) =>
  eventually(() => proxy.failuresLeft === 0, 'the connections have failed');

describe('a new connection of the pool that the server terminates in the packet with its "ready for query"', () => {
  it.each([1, 5])('is replaced when a claim requested it, %i times in a row', async (times) => {
    const channel = channelOf(`claim-${times}`);
    const { provider, runs } = recordRuns(channel);
    await using claiming = await startBehindProxy(stored, { providers: [provider] });
    await failNext(claiming.app, claiming.proxy, times);
    await store(stored, channel, ROWS);
    await handled(stored, channel);
    await allFailed(claiming.proxy);
    expect(runs.all).toHaveLength(ROWS);
    expect(await committed(stored, channel)).toEqual(range(ROWS));
  });

  it('does not affect a claim whose handler runs on another connection', async () => {
    const [slow, quick] = [channelOf('slow'), channelOf('quick')];
    const inHandler = gate();
    const slowRuns = recordRuns(slow, () => inHandler.pass());
    const quickRuns = recordRuns(quick);
    const providers = [slowRuns.provider, quickRuns.provider];
    await using claiming = await startBehindProxy(stored, { providers, options: { concurrency: 3 } });
    const { proxy } = claiming;
    await store(stored, slow, 1);
    await inHandler.reached;
    proxy.failAfterReady(3);
    // the pool opens new connections, because the handler uses the only one
    const runners = range(2).map(() => claiming.app.dataSource.createQueryRunner());
    await Promise.allSettled(runners.map((runner) => runner.connect()));
    await store(stored, quick, ROWS);
    await handled(stored, quick);
    await Promise.allSettled(runners.map((runner) => runner.release()));
    inHandler.open();
    await handled(stored, slow);
    expect(slowRuns.runs.all).toHaveLength(1);
    expect(await committed(stored, slow)).toEqual([1]);
    expect(await committed(stored, quick)).toEqual(range(ROWS));
  });

  it('rejects notify() or is replaced, in a process that only publishes', async () => {
    const channel = channelOf('published');
    await using claiming = await startBehindProxy(stored, {
      channels: [channel],
      options: { listen: false },
    });
    const { app, proxy } = claiming;
    await failNext(app, proxy, 2);
    const sent = await Promise.allSettled([app.pubsub.notify(channel, 1), app.pubsub.notify('broadcast', 2)]);
    await allFailed(proxy);
    await app.pubsub.notify(channel, 3);
    const isSent = sent[0].status === 'fulfilled';
    expect((await stored.waiting(channel)).map(({ payload }) => payload)).toEqual(isSent ? [1, 3] : [3]);
  });

  it.each(['claims', 'only publishes'])(
    'affects at most the calls of a repository that wait for it, in a process that %s',
    async (what) => {
      const channel = channelOf(`repository ${what}`);
      const { provider } = recordRuns(channel);
      const setup = what === 'claims' ? { providers: [provider] } : { options: { listen: false } };
      await using claiming = await startBehindProxy(stored, setup);
      const { app, proxy } = claiming;
      const effects = app.dataSource.getRepository(Effect);
      await failNext(app, proxy, 4);
      await Promise.allSettled([
        effects.count(),
        effects.find(),
        app.dataSource.query('select 1'),
        app.dataSource.transaction((manager) => manager.count(Effect)),
      ]);
      await allFailed(proxy);
      await effects.count();
    },
  );

  it('affects at most the calls of a repository that wait for it, after the DataSource was initialized again', async () => {
    const channel = channelOf('initialized-again');
    const { provider } = recordRuns(channel);
    await using claiming = await startBehindProxy(stored, { providers: [provider] });
    const { app, proxy } = claiming;
    await app.dataSource.destroy();
    await app.dataSource.initialize();
    await failNext(app, proxy, 1);
    await Promise.allSettled([app.dataSource.getRepository(Effect).count()]);
    await allFailed(proxy);
    await store(stored, channel, ROWS);
    await handled(stored, channel);
  });
});
