import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  STATUS_DEFAULTS,
  evaluateHealth,
  resolveLimits,
  type StatusInput,
} from '../../../lib/observability/health.js';

const connection: StatusInput['connection'] = {
  state: 'listening',
  since: new Date(),
  forMs: 0,
  channels: ['orders'],
  lastHeardAt: new Date(),
  lastTestedAt: new Date(),
  reason: null,
};
const well: StatusInput = {
  connection,
  channels: [],
  queueUsage: 0,
  claims: [],
  running: [],
  probeFailure: undefined,
};

const judged = (findings: Partial<StatusInput>) => evaluateHealth({ ...well, ...findings }, STATUS_DEFAULTS);
const connected = (changes: Partial<StatusInput['connection']>) =>
  judged({ connection: { ...connection, ...changes } });

describe('the health of an instance', () => {
  it('is up without a reason', () => {
    expect(judged({})).toEqual({ health: 'up', reasons: [] });
  });

  it('is degraded when the notification queue is more than half full', () => {
    expect(judged({ queueUsage: 0.5 }).health).toBe('up');
    expect(judged({ queueUsage: 0.63 })).toEqual({
      health: 'degraded',
      reasons: [expect.stringContaining('63 % full')],
    });
  });

  it('is degraded when the server rejects the query, and down when it does not answer', () => {
    expect(judged({ probeFailure: { reason: 'permission denied', isServerError: true } }).health).toBe(
      'degraded',
    );
    expect(judged({ probeFailure: { reason: 'refused', isServerError: false } }).health).toBe('down');
  });

  it.each(['connecting', 'reconnecting'] as const)(
    'is degraded for 30 s while the connection is %s, and down afterwards',
    (state) => {
      expect(connected({ state, forMs: 1_000 }).health).toBe('degraded');
      expect(connected({ state, forMs: 31_000 }).health).toBe('down');
    },
  );

  it('is down when a connection with channels is closed', () => {
    expect(connected({ state: 'closed' }).health).toBe('down');
    expect(connected({ state: 'closed', channels: [] }).health).toBe('up');
  });

  it('is degraded by notifications for a listener that no process has', () => {
    expect(judged({ unhandled: [{ channel: 'orders', listener: 'Gone.ship', count: 1 }] })).toEqual({
      health: 'degraded',
      reasons: ['"orders": 1 stored notification for the listener Gone.ship, which no running process has'],
    });
  });

  it('is degraded when claims fail', () => {
    const claims = ['claims on "orders" have been rejected for 3 s: permission denied'];
    expect(judged({ claims })).toEqual({ health: 'degraded', reasons: claims });
  });

  it('is degraded when a handler of a broadcast runs for more than a minute', () => {
    const running = (forMs: number) => judged({ running: [{ channel: 'orders', listener: 'A.b', forMs }] });
    expect(running(60_000).health).toBe('up');
    expect(running(61_000)).toEqual({
      health: 'degraded',
      reasons: ['A.b has been handling a notification on "orders" for 61 s'],
    });
  });

  it('has all reasons and the worst level of them', () => {
    const { health, reasons } = judged({
      connection: { ...connection, state: 'deaf', reason: 'a pooler' },
      probeFailure: { reason: 'refused', isServerError: false },
    });

    expect(health).toBe('down');
    expect(reasons).toEqual([expect.stringContaining('refused'), expect.stringContaining('a pooler')]);
  });
});

describe('the limits of status()', () => {
  it.each([
    { maxQueueUsage: 50 },
    { maxDeadLetters: -1 },
    { maxDeadLetters: Number.NaN },
    { maxBacklogAgeMs: '5 min' },
    { maxReconnectingMs: -1 },
  ])('reject %o', (limits) => {
    expect(() => resolveLimits(limits as object)).toThrow(/expected the option ".+" of status\(\) to be/);
  });

  it('have the defaults in their comments', () => {
    const source = readFileSync(new URL('../../../lib/observability/health.ts', import.meta.url), 'utf8');
    const documented = source.matchAll(/@defaultValue `([\d_.]+)`\n\s+\*\/\n\s+(\w+)\?/g);
    const defaults = Array.from(documented, ([, value = '', name]) => [
      name,
      Number(value.replaceAll('_', '')),
    ]);

    expect(Object.fromEntries(defaults)).toEqual(STATUS_DEFAULTS);
    expect(resolveLimits({})).toEqual(STATUS_DEFAULTS);
  });
});
