import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RetryPause } from '../../../lib/connection/retry-pause.js';

const PAUSE_MS = 30_000;

describe('RetryPause', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Starts a pause and records its duration when it ends. */
  const pauseOf = (pause: RetryPause, ms = PAUSE_MS) => {
    const started = performance.now();
    const ended: { afterMs?: number } = {};
    void pause.wait(ms).then(() => (ended.afterMs = performance.now() - started));
    return ended;
  };
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
  const start = () => new RetryPause(new AbortController().signal);

  it('lasts for the requested time', async () => {
    const ended = pauseOf(start());
    await pass(PAUSE_MS - 1);
    expect(ended).toEqual({});
    await pass(1);
    expect(ended.afterMs).toBe(PAUSE_MS);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends at once when it is shortened', async () => {
    const pause = start();
    const ended = pauseOf(pause);
    await pass(5_000);
    pause.shorten();
    await pass(0);
    expect(ended.afterMs).toBe(5_000);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is not shortened by an earlier call', async () => {
    const pause = start();
    pause.shorten();
    const ended = pauseOf(pause);
    await pass(PAUSE_MS - 1);
    expect(ended).toEqual({});
    await pass(1);
    expect(ended.afterMs).toBe(PAUSE_MS);
  });

  it('is shortened at most once a second', async () => {
    const pause = start();
    const lengths: (number | undefined)[] = [];
    for (let round = 0; round < 4; round++) {
      const ended = pauseOf(pause);
      while (ended.afterMs === undefined) {
        pause.shorten();
        await pass(10);
      }
      lengths.push(ended.afterMs);
    }
    expect(lengths[0]).toBe(0);
    // 10 ms pass between two pauses
    for (const length of lengths.slice(1)) expect(length).toBeCloseTo(990, -2);
  });

  it('is never extended', async () => {
    const pause = start();
    pauseOf(pause);
    pause.shorten();
    await pass(0);
    const ended = pauseOf(pause, 200);
    pause.shorten();
    await pass(200);
    expect(ended.afterMs).toBe(200);
  });

  it('ends when the application stops, and does not start afterwards', async () => {
    const stopped = new AbortController();
    const pause = new RetryPause(stopped.signal);
    const ended = pauseOf(pause);
    await pass(100);
    stopped.abort();
    await pass(0);
    expect(ended.afterMs).toBe(100);
    const late = pauseOf(pause);
    await pass(0);
    expect(late.afterMs).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
