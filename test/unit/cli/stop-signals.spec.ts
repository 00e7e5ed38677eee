import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { handleStopSignals } from '../../../lib/cli/stop-signals.js';

const seen: string[] = [];
let send: (signal: string) => void;
let closePipe: () => void;

beforeEach(() => {
  seen.length = 0;
  vi.useFakeTimers({ toFake: ['performance'] });
  const source = new EventEmitter();
  send = (signal) => void source.emit(signal, signal);
  const log = new EventEmitter().on('error', () => undefined);
  closePipe = () => void log.emit('error', new Error('write EPIPE'));
  const handlers = {
    finish: (reason: string) => seen.push(reason),
    endAtOnce: () => seen.push('at once'),
    finishUnread: () => seen.push('unread'),
  };
  handleStopSignals(handlers, source, log);
});
afterEach(() => {
  vi.useRealTimers();
});

const PAIRS = [
  ['SIGTERM', 'SIGTERM'],
  ['SIGINT', 'SIGINT'],
  ['SIGTERM', 'SIGINT'],
  ['SIGINT', 'SIGTERM'],
] as const;

it.each(PAIRS)('handleStopSignals() treats %s and %s within 200 ms as one signal', (first, again) => {
  send(first);
  for (let ms = 0; ms < 200; ms += 50) {
    send(again);
    vi.advanceTimersByTime(50);
  }
  send(again);
  expect(seen).toEqual([first]);
});

it.each(PAIRS)(
  'handleStopSignals() ends at once when %s is followed by %s after more than 200 ms',
  (first, again) => {
    send(first);
    vi.advanceTimersByTime(150);
    send(first); // a repetition does not restart the period
    vi.advanceTimersByTime(51);
    send(again);
    expect(seen).toEqual([first, 'at once']);
  },
);

it('handleStopSignals() finishes once when the pipe of the log is closed, even if more is written', () => {
  closePipe();
  closePipe();
  expect(seen).toEqual(['unread']);
});
