import { defineChannel } from 'nestjs-pgpubsub';
import type { DataSource } from 'typeorm';
import { expect, it } from 'vitest';
import { committed, gate, handled, recordRuns, store } from '../../support/claims-behind-proxy.js';
import { range, useStored } from '../../support/stored.js';

const stored = useStored();
const ROWS = 3;
/** Much longer than a poll, and shorter than the limit of the library for a connection of the pool. */
const SOON_MS = 7_000;
const options = {
  poll: { intervalMs: 500, deafIntervalMs: 500 },
  reconnect: { minDelayMs: 20, maxDelayMs: 100 },
};

const channelOf = (name: string) => defineChannel<number>(name, { delivery: 'exactly-once' });

interface Pool {
  connect(...parameters: unknown[]): unknown;
}

/** Destroys the DataSource at the moment at which the next connection of its pool is asked for. */
function destroyAtNextConnect(dataSource: DataSource): Promise<void> {
  const pool = (dataSource.driver as unknown as { master: Pool }).master;
  const connect = pool.connect.bind(pool);
  return new Promise((resolve, reject) => {
    pool.connect = (...parameters) => {
      pool.connect = connect;
      const connecting = connect(...parameters);
      dataSource.destroy().then(resolve, reject);
      return connecting;
    };
  });
}

async function expectHandledSoon(channel: ReturnType<typeof channelOf>): Promise<void> {
  await store(stored, channel, ROWS);
  await handled(stored, channel, SOON_MS);
  expect(await committed(stored, channel)).toEqual(range(ROWS));
}

it.concurrent('claims again after the DataSource was destroyed right after the start', async () => {
  const channel = channelOf('right-after');
  await using app = await stored.start({ providers: [recordRuns(channel).provider], options });
  await app.dataSource.destroy();
  await app.dataSource.initialize();
  await expectHandledSoon(channel);
});

it.concurrent('claims again after the DataSource was destroyed while a claim was being opened', async () => {
  const channel = channelOf('opening');
  await using app = await stored.start({ providers: [recordRuns(channel).provider], options });
  const destroyed = destroyAtNextConnect(app.dataSource);
  await destroyed; // by the poll
  await app.dataSource.initialize();
  await expectHandledSoon(channel);
});

it.concurrent('claims again after that has happened twice, with a pool that was empty', async () => {
  const channel = channelOf('twice');
  const dataSource = { extra: { idleTimeoutMillis: 10 } };
  await using app = await stored.start({ providers: [recordRuns(channel).provider], options, dataSource });
  for (const _time of range(2)) {
    await destroyAtNextConnect(app.dataSource);
    await app.dataSource.initialize();
  }
  await expectHandledSoon(channel);
});

it.concurrent('handles the rows once whose claim the DataSource was destroyed in', async () => {
  const channel = channelOf('claiming');
  const inHandler = gate();
  const { provider } = recordRuns(channel, (payload) => payload === 2 && inHandler.pass());
  await using app = await stored.start({ providers: [provider], options });
  await store(stored, channel, ROWS);
  await inHandler.reached;
  const destroyed = app.dataSource.destroy();
  inHandler.open();
  await destroyed;
  await app.dataSource.initialize();
  await handled(stored, channel, SOON_MS);
  expect(await committed(stored, channel)).toEqual(range(ROWS));
});

it.concurrent('claims by itself whatever was stored while there was no DataSource', async () => {
  const channel = channelOf('meanwhile');
  await using app = await stored.start({ providers: [recordRuns(channel).provider], options });
  await app.dataSource.destroy();
  await store(stored, channel, ROWS);
  await app.dataSource.initialize();
  await handled(stored, channel, SOON_MS);
  expect(await committed(stored, channel)).toEqual(range(ROWS));
});
