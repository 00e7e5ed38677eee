import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { PubSubEvent } from '../../../lib/common/events.js';
import { PubSubLogger } from '../../../lib/observability/pubsub.logger.js';
import { SAMPLES, error } from '../support/sample-events.js';

function createLogger() {
  const written: string[] = [];
  const at = (level: string) => (message: string, stack?: string) =>
    written.push(`${level}: ${message}${stack === undefined ? '' : ', with a stack'}`);
  const logger = new PubSubLogger({ log: at('log'), warn: at('warn'), error: at('error') });
  return { logger, written };
}

/** Returns the lines that are written at once. */
const write = (...events: PubSubEvent[]): string[] => {
  const { logger, written } = createLogger();
  for (const event of events) logger.write(event);
  const atOnce = [...written];
  logger.close();
  return atOnce;
};

describe('PubSubLogger', () => {
  it.each(Object.entries(SAMPLES))('writes the line of "%s", if it has one', (_type, [event, line]) => {
    expect(write(event)).toEqual(line === undefined ? [] : [line]);
  });

  it('writes a dead letter as an error', () => {
    const dead = {
      channel: 'orders',
      listener: 'Orders.receive',
      id: '7',
      attempt: 10,
      delayMs: undefined,
      error,
    };

    expect(write({ type: 'stored-failed', ...dead })).toEqual([
      'error: Listener Orders.receive failed on channel "orders", notification 7, attempt 10; moved to the dead letters: boom, with a stack',
    ]);
  });

  it('passes on the stack of an error', () => {
    const error_ = vi.fn<(message: string, stack?: string) => void>();
    const logger = new PubSubLogger({ log: vi.fn<() => void>(), warn: vi.fn<() => void>(), error: error_ });
    logger.write({ type: 'close-failed', error });

    expect(error_).toHaveBeenCalledWith('Shutdown failed: boom', error.stack);
  });

  it('writes a thrown value that is not an error without a stack', () => {
    expect(write({ type: 'close-failed', error: 'boom' })).toEqual(['error: Shutdown failed: "boom"']);
  });

  it.each([
    [[], 'no channel yet'],
    [['orders'], 'channel orders'],
    [
      Array.from({ length: 11 }, (_, index) => `c${index}`),
      '11 channels: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, …',
    ],
  ])('names at most ten channels: %j', (channels, said) => {
    expect(write({ type: 'listening', channels, processId: 42 })).toEqual([
      `log: Listening to ${said} (backend 42)`,
    ]);
  });
});

describe('PubSubLogger with repeated lines', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  const dropped = (total: number, receiver = 'listen()'): PubSubEvent => ({
    type: 'dropped', channel: 'orders', receiver, total,
  }); // prettier-ignore

  it('writes the first line at once, and after ten seconds the newest one with the number of others', () => {
    const { logger, written } = createLogger();
    for (let total = 1; total <= 1_000; total++) logger.write(dropped(total));
    expect(written).toHaveLength(1);

    vi.advanceTimersByTime(10_000);
    expect(written).toEqual([
      'warn: Dropped a notification on channel "orders": listen() is too slow (1 dropped so far)',
      'warn: Dropped a notification on channel "orders": listen() is too slow (1000 dropped so far) (10.0 s ago, and 998 more like this)',
    ]);
  });

  it('writes the age of a line that is written late', () => {
    const { logger, written } = createLogger();
    for (const total of [1, 2]) logger.write(dropped(total));
    vi.advanceTimersByTime(3_240);
    logger.flush();

    expect(written.slice(1)).toEqual([
      'warn: Dropped a notification on channel "orders": listen() is too slow (2 dropped so far) (3.2 s ago)',
    ]);
  });

  it('writes held back lines when it is closed', () => {
    const { logger, written } = createLogger();
    for (const total of [1, 2, 3]) logger.write(dropped(total));
    logger.close();

    expect(written.slice(1)).toEqual([
      'warn: Dropped a notification on channel "orders": listen() is too slow (3 dropped so far) (0 ms ago, and 1 more like this)',
    ]);
  });

  it('turns errors of the logger into process warnings', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockReturnValue();
    const full = () => { throw new Error('disk full'); }; // prettier-ignore
    const logger = new PubSubLogger({ log: full, warn: full, error: full });
    for (const total of [1, 2]) logger.write(dropped(total));
    vi.advanceTimersByTime(10_000);
    logger.write(dropped(3));
    logger.close();

    expect(warn.mock.calls).toEqual(Array.from({ length: 3 }, () => [new Error('disk full')]));
    warn.mockRestore();
  });

  it.each([
    [dropped(1), dropped(1, 'Orders.receive')],
    [SAMPLES.failed[0], { ...SAMPLES.failed[0], listener: 'Mails.send' }],
    [SAMPLES.failed[0], { ...SAMPLES.failed[0], channel: 'payments' }],
    [SAMPLES.rejected[0], { ...SAMPLES.rejected[0], channel: 'payments' }],
    [SAMPLES['gap-handler-failed'][0], { ...SAMPLES['gap-handler-failed'][0], listener: 'Cache.reload' }],
    [SAMPLES.refused[0], { ...SAMPLES.refused[0], channel: 'payments' }],
    [SAMPLES['claim-failed'][0], { ...SAMPLES['claim-failed'][0], channel: 'payments' }],
    [SAMPLES['stored-failed'][0], { ...SAMPLES['stored-failed'][0], listener: 'Mails.send' }],
    [SAMPLES['stored-failed'][0], { ...SAMPLES['stored-failed'][0], delayMs: undefined }],
    [SAMPLES.interrupted[0], { ...SAMPLES.interrupted[0], channel: 'payments' }],
    [SAMPLES.disconnected[0], SAMPLES.reconnecting[0]],
  ])('holds back "$type" only for the same channel and listener', (first, second) => {
    expect(write(first, second, first, second)).toHaveLength(2);
  });

  /** Rare events: at the start or end of an application, once per listener, or caused by hand. */
  const ONCE = new Set<PubSubEvent['type']>([
    'claiming',
    'pauses-changed',
    'pauses-unknown',
    'discarded',
    'abandoned',
    'close-failed',
    'drifted',
    'schema-warned',
    'enhancers-skipped',
    'names-minified',
    'lazily-loaded',
    'duplicated',
  ]);
  const worded = Object.values(SAMPLES).filter(([, line]) => line !== undefined);

  it.each(worded.map(([event]) => event))('holds back "$type" if the event may be frequent', (event) => {
    expect(write(event, event)).toHaveLength(ONCE.has(event.type) ? 2 : 1);
  });

  it('leaves no timer when it is closed', () => {
    const { logger } = createLogger();
    for (const [event] of Object.values(SAMPLES)) logger.write(event);
    expect(vi.getTimerCount()).toBeGreaterThan(0);

    logger.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});
