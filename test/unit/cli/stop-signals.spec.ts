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

it.each([
  [['SIGTERM'], ['SIGTERM']],
  [
    ['SIGTERM', 'SIGTERM'],
    ['SIGTERM', 'at once'],
  ],
  [
    ['SIGINT', 'SIGTERM'],
    ['SIGINT', 'at once'],
  ],
  [['SIGINT', 'SIGINT'], ['SIGINT']], // npm passes on the Ctrl-C
] as const)('%j: %j', (signals, handled) => {
  for (const signal of signals) send(signal);
  expect(seen).toEqual(handled);
});

it('takes a second Ctrl-C of a person for what it is', () => {
  send('SIGINT');
  send('SIGINT');
  vi.advanceTimersByTime(300);
  send('SIGINT');
  send('SIGINT');
  expect(seen).toEqual(['SIGINT', 'at once']);
});

it('finishes once when nobody reads the log any more, whatever is still written', () => {
  closePipe();
  closePipe();
  expect(seen).toEqual(['unread']);
});
