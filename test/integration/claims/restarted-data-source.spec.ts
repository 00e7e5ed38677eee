import { defineChannel } from 'nestjs-pgpubsub';
import type { DataSource } from 'typeorm';
import { expect, it } from 'vitest';
import { committed, gate, handled, recordRuns, store } from '../../support/claims-behind-proxy.js';
import { range, useStored } from '../../support/stored.js';

const stored = useStored();
const ROWS = 3;
/**
 * Much longer than a poll, and shorter than the limit of the library for a connection of the pool.
 */
const SOON_MS = 7_000;
const options = {
  poll: { intervalMs: 500, deafIntervalMs: 500 },
  reconnect: { minDelayMs: 20, maxDelayMs: 100 },
};

const channelOf = (name: string) => defineChannel<number>(name, { delivery: 'exactly-once' });

interface Pool {
  connect(...parameters: unknown[]): unknown;
}

/** Destroys the DataSource when the next connection of its pool is requested. */
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

it.concurrent('claims continue after the DataSource was restarted right after the start', async () => {
  const channel = channelOf('right-after');
  await using app = await stored.start({ providers: [recordRuns(channel).provider], options });
  await app.dataSource.destroy();
  await app.dataSource.initialize();
  await expectHandledSoon(channel);
});

it.concurrent('claims continue after the DataSource was restarted while a claim was opening', async () => {
  const channel = channelOf('opening');
  await using app = await stored.start({ providers: [recordRuns(channel).provider], options });
  const destroyed = destroyAtNextConnect(app.dataSource);
  await destroyed; // called when a poll connects
  await app.dataSource.initialize();
  await expectHandledSoon(channel);
});

it.concurrent('claims continue after two such restarts with an empty pool', async () => {
  const channel = channelOf('twice');
  const dataSource = { extra: { idleTimeoutMillis: 10 } };
  await using app = await stored.start({ providers: [recordRuns(channel).provider], options, dataSource });
  for (const _time of range(2)) {
    await destroyAtNextConnect(app.dataSource);
    await app.dataSource.initialize();
  }
  await expectHandledSoon(channel);
});

it.concurrent(
  'rows of a claim take effect once when the DataSource is restarted during the claim',
  async () => {
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
  },
);

it.concurrent('claims find rows that were stored while the DataSource was destroyed', async () => {
  const channel = channelOf('meanwhile');
  await using app = await stored.start({ providers: [recordRuns(channel).provider], options });
  await app.dataSource.destroy();
  await store(stored, channel, ROWS);
  await app.dataSource.initialize();
  await handled(stored, channel, SOON_MS);
  expect(await committed(stored, channel)).toEqual(range(ROWS));
});
