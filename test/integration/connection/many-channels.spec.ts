import type { Gap } from 'nestjs-pgpubsub';
import { describe, expect, it } from 'vitest';
import { MANY_CHANNELS } from '../../../lib/connection/listen-set.js';
import { eventually } from '../../support/mailbox.js';
import { openListenConnection } from '../../support/listen-connection.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();

const OBSERVED = Array.from({ length: 30_000 }, (_, n) => `user:${n}`);
const LAST = OBSERVED.at(-1) ?? '';

/** Starts with 30,000 observed channels and one channel of a listener. */
async function openWithMany() {
  const many = await openListenConnection(database);
  const { connection } = many;
  for (const channel of OBSERVED) connection.listen(channel);
  connection.listen('orders', { first: true });
  await connection.start();
  return many;
}

describe('30,000 observed channels', () => {
  it('do not delay the channel of a listener, neither at the start nor after a loss, and have a gap of their own', async () => {
    await using many = await openWithMany();
    const { connection, events, states, gaps, received, notify } = many;
    expect(connection.isListenPending(LAST)).toBe(true);
    await notify('orders', 'first');
    expect(await received.next()).toBe('first');
    const crowded = events.all.filter(({ type }) => type === 'crowded');
    expect(crowded).toEqual([{ type: 'crowded', count: MANY_CHANNELS }]);

    await eventually(() => !connection.isListenPending(LAST), 'all channels are in force');
    expect(gaps.all).toEqual([]);
    const cutAt = performance.now();
    expect(await database.terminateListeners()).toBe(1);
    const ofListeners = await gaps.next();
    expect(ofListeners.channels).toContain('orders');
    expect(ofListeners.channels).not.toContain(LAST);
    expect(connection.isListenPending(LAST)).toBe(true);
    await notify('orders', 'second');
    expect(await received.next()).toBe('second');
    const heardAfterMs = performance.now() - cutAt;

    const ofOthers = await gaps.next();
    const othersAfterMs = performance.now() - cutAt;
    expect(new Set([...ofListeners.channels, ...ofOthers.channels])).toEqual(
      new Set([...OBSERVED, 'orders']),
    );
    expect(ofOthers.channels).toContain(LAST);
    expect(ofOthers.from.getTime()).toBeLessThanOrEqual(ofListeners.to.getTime());
    expect(ofOthers.to.getTime()).toBeGreaterThan(ofListeners.to.getTime());
    expect(heardAfterMs).toBeLessThan(othersAfterMs / 2);
    expect(connection.isListenPending(LAST)).toBe(false);
    await notify(LAST, 'last');
    expect(await received.next()).toBe('last');
    expect(states.all.filter((state) => state === 'reconnecting').length).toBe(1);
  }, 120_000);

  it('are in the gap of the next session when the connection is lost before they are in force', async () => {
    await using many = await openWithMany();
    const { gaps } = many;
    await database.terminateListeners();
    const first = await gaps.next();
    await database.terminateListeners();
    const later: Gap[] = [await gaps.next()];
    while (!later.some(({ channels }) => channels.includes(LAST))) later.push(await gaps.next());
    expect(Math.max(...later.map(({ from }) => from.getTime()))).toBeLessThanOrEqual(
      first.from.getTime() + 1,
    );
  }, 120_000);

  it('pass the heartbeats that count them while they come into force', async () => {
    const heartbeat = { intervalMs: 10, timeoutMs: 5_000 };
    await using many = await openListenConnection(database, { heartbeat });
    const { connection, events } = many;
    connection.listen('orders', { first: true });
    await connection.start();
    const names = OBSERVED.slice(0, 6_000);
    for (const channel of names) connection.listen(channel);
    while (connection.isListenPending(names.at(-1) ?? '')) await connection.whenListening(names.at(-1) ?? '');
    expect(events.all.filter(({ type }) => type === 'disconnected')).toEqual([]);
  });
});
