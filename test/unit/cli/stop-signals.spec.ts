import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { handleStopSignals } from '../../../lib/cli/stop-signals.js';

const seen: string[] = [];
let send: (signal: string) => void;

beforeEach(() => {
  seen.length = 0;
  vi.useFakeTimers({ toFake: ['performance'] });
  const source = new EventEmitter();
  send = (signal) => void source.emit(signal, signal);
  handleStopSignals({ finish: (reason) => seen.push(reason), endAtOnce: () => seen.push('at once') }, source);
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
