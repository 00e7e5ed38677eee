import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openListenConnection } from '../../support/listen-connection.js';
import { useDatabase } from '../../support/use-database.js';

const HOUR_MS = 3_600_000;

const database = useDatabase();

describe('a change of the system clock', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Ends the session, changes the clock by this time, and returns the gap. */
  async function gapWith(offsetMs: number) {
    await using listening = await openListenConnection(database);
    listening.connection.listen('orders');
    await listening.connection.start();
    vi.setSystemTime(Date.now() + offsetMs);
    await database.terminateListeners();
    return await listening.gaps.next();
  }

  it('to an earlier time during a gap leaves the start of the gap before its end', async () => {
    const gap = await gapWith(-HOUR_MS);
    const lastedMs = gap.to.getTime() - gap.from.getTime();
    expect(lastedMs).toBeGreaterThan(0);
    expect(lastedMs).toBeLessThan(60_000);
  });

  it('to a later time during a gap does not shorten the gap', async () => {
    const gap = await gapWith(HOUR_MS);
    expect(gap.to.getTime() - gap.from.getTime()).toBeGreaterThanOrEqual(HOUR_MS);
  });

  it('does not affect how long the connection has been in its state', async () => {
    await using listening = await openListenConnection(database);
    listening.connection.listen('orders');
    await listening.connection.start();
    vi.setSystemTime(Date.now() + HOUR_MS);
    const { since, forMs } = listening.connection.snapshot();
    expect(forMs).toBeGreaterThanOrEqual(0);
    expect(forMs).toBeLessThan(60_000);
    expect(Date.now() - since.getTime()).toBeGreaterThanOrEqual(HOUR_MS);
  });
});
