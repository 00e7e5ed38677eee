import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Fact } from '../../../lib/common/facts.js';
import { PubSubLogger } from '../../../lib/observability/pubsub.logger.js';

const error = new Error('boom');
const gap = { channels: ['orders'], from: new Date(0), to: new Date(1_500) };

/** One fact of every type, and the line it becomes: a type that is missing here does not compile. */
const LINES: {
  readonly [T in Exclude<Fact['type'], 'claimed'>]: readonly [Extract<Fact, { type: T }>, string];
} = {
  claiming: [
    { type: 'claiming', channels: ['orders'], concurrency: 4, poolSize: 10 },
    'log: Handling stored notifications of channel orders, up to 4 claims at once (the pool has 10 connections)',
  ],
  'claim-failed': [
    { type: 'claim-failed', channel: 'orders', error },
    'error: A claim of channel "orders" failed and will be repeated: boom',
  ],
  'stored-failed': [
    {
      type: 'stored-failed',
      channel: 'orders',
      listener: 'Orders.receive',
      id: '7',
      attempt: 2,
      delayMs: 1_500,
      error,
    },
    'warn: Listener Orders.receive failed with notification 7 of channel "orders" (attempt 2), it is tried again in 1.5 s: boom',
  ],
  interrupted: [
    { type: 'interrupted', channel: 'orders', id: '7', deaths: 1 },
    'warn: The process or connection that handled notification 7 of channel "orders" has ended meanwhile (1 so far): it is handled alone now',
  ],
  listening: [
    { type: 'listening', channels: ['orders', 'payments'], processId: 42 },
    'log: Listening to 2 channels: orders, payments (backend 42)',
  ],
  deafened: [
    { type: 'deafened', reason: 'a pooler' },
    'warn: Connected, but what this application sends does not arrive: a pooler',
  ],
  disconnected: [{ type: 'disconnected', error }, 'warn: Lost the LISTEN connection, reconnecting: boom'],
  reconnecting: [
    { type: 'reconnecting', attempt: 3, delayMs: 250, error },
    'warn: The LISTEN connection is not open, attempt 3 in 250 ms: boom',
  ],
  reconnected: [
    { type: 'reconnected', gap },
    'log: Listening again; broadcasts may have been missed for 1.5 s',
  ],
  failed: [
    { type: 'failed', channel: 'orders', listener: 'Orders.receive', error },
    'error: Listener Orders.receive failed on channel "orders": boom, with a stack',
  ],
  'gap-handler-failed': [
    { type: 'gap-handler-failed', listener: 'Cache.clear', error },
    'error: @OnGap() Cache.clear failed: boom, with a stack',
  ],
  refused: [
    { type: 'refused', channel: 'orders', error },
    'error: The server refused to LISTEN to channel "orders": boom',
  ],
  rejected: [
    { type: 'rejected', channel: 'orders', error },
    'error: Refused a notification of channel "orders": boom',
  ],
  dropped: [
    { type: 'dropped', channel: 'orders', receiver: 'listen()', total: 7 },
    'warn: Dropped a notification of channel "orders": listen() is too slow (7 so far)',
  ],
  discarded: [
    { type: 'discarded', channel: 'orders', receiver: 'Orders.receive', count: 3 },
    'warn: Closing: 3 notifications of channel "orders" were still waiting for Orders.receive',
  ],
  abandoned: [
    { type: 'abandoned', listeners: ['Orders.receive', 'Mails.send'], afterMs: 10_000 },
    'warn: Closing: still running after 10000 ms: Orders.receive, Mails.send',
  ],
  'close-failed': [{ type: 'close-failed', error }, 'error: Closing failed: boom, with a stack'],
  drifted: [
    { type: 'drifted', error: new Error('expected the trigger of orders, got none') },
    'warn: expected the trigger of orders, got none',
  ],
  duplicated: [
    { type: 'duplicated', listener: 'Orders.receive' },
    'warn: Orders.receive runs twice for each notification: its class is provided more than once. Provide it in one module and export it.',
  ],
};

function createLogger() {
  const written: string[] = [];
  const at = (level: string) => (message: string, stack?: string) =>
    written.push(`${level}: ${message}${stack === undefined ? '' : ', with a stack'}`);
  const logger = new PubSubLogger({ log: at('log'), warn: at('warn'), error: at('error') });
  return { logger, written };
}

const write = (...facts: Fact[]): string[] => {
  const { logger, written } = createLogger();
  for (const fact of facts) logger.write(fact);
  logger.close();
  return written;
};

describe('PubSubLogger', () => {
  it.each(Object.values(LINES))('words "$type"', (fact, line) => {
    expect(write(fact)).toEqual([line]);
  });

  it('words what has become a dead letter as an error, and says nothing of claims that went well', () => {
    const dead = {
      channel: 'orders',
      listener: 'Orders.receive',
      id: '7',
      attempt: 10,
      delayMs: undefined,
      error,
    };

    expect(
      write(
        { type: 'stored-failed', ...dead },
        { type: 'claimed', channel: 'orders', handled: 1, failed: 0, durationMs: 1 },
      ),
    ).toEqual([
      'error: Listener Orders.receive failed with notification 7 of channel "orders" (attempt 10), it is a dead letter now: boom, with a stack',
    ]);
  });

  it('hands over the stack of what failed', () => {
    const error_ = vi.fn<(message: string, stack?: string) => void>();
    const logger = new PubSubLogger({ log: vi.fn<() => void>(), warn: vi.fn<() => void>(), error: error_ });
    logger.write({ type: 'close-failed', error });

    expect(error_).toHaveBeenCalledWith('Closing failed: boom', error.stack);
  });

  it('words what failed without being an error, and has no stack then', () => {
    expect(write({ type: 'close-failed', error: 'boom' })).toEqual(['error: Closing failed: "boom"']);
  });

  it.each([
    [[], 'no channel yet'],
    [['orders'], 'channel orders'],
    [
      Array.from({ length: 11 }, (_, index) => `c${index}`),
      '11 channels: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, …',
    ],
  ])('says what is listened to: %j', (channels, said) => {
    expect(write({ type: 'listening', channels, processId: 42 })).toEqual([
      `log: Listening to ${said} (backend 42)`,
    ]);
  });
});

describe('PubSubLogger in a loop of errors', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  const dropped = (total: number, receiver = 'listen()'): Fact => ({
    type: 'dropped', channel: 'orders', receiver, total,
  }); // prettier-ignore

  it('writes the first line, and after ten seconds the newest and how many more there were', () => {
    const { logger, written } = createLogger();
    for (let total = 1; total <= 1_000; total++) logger.write(dropped(total));
    expect(written).toHaveLength(1);

    vi.advanceTimersByTime(10_000);
    expect(written).toEqual([
      'warn: Dropped a notification of channel "orders": listen() is too slow (1 so far)',
      'warn: Dropped a notification of channel "orders": listen() is too slow (1000 so far) (and 998 more like this)',
    ]);
  });

  it.each([
    [dropped(1), dropped(1, 'Orders.receive')],
    [LINES.failed[0], { ...LINES.failed[0], listener: 'Mails.send' }],
    [LINES.failed[0], { ...LINES.failed[0], channel: 'payments' }],
    [LINES.rejected[0], { ...LINES.rejected[0], channel: 'payments' }],
    [LINES['gap-handler-failed'][0], { ...LINES['gap-handler-failed'][0], listener: 'Cache.reload' }],
    [LINES.disconnected[0], LINES.reconnecting[0]],
  ])('holds back $type only where channel and listener are the same', (first, second) => {
    expect(write(first, second, first, second)).toHaveLength(2);
  });

  it.each(['discarded', 'abandoned', 'close-failed', 'drifted', 'duplicated'] as const)(
    'holds back no line about "%s"',
    (type) => {
      expect(write(LINES[type][0], LINES[type][0])).toHaveLength(2);
    },
  );

  it('leaves no timer when it is closed', () => {
    const { logger } = createLogger();
    for (const [fact] of Object.values(LINES)) logger.write(fact);
    expect(vi.getTimerCount()).toBeGreaterThan(0);

    logger.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});
