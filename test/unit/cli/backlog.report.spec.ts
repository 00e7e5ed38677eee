import { PassThrough } from 'node:stream';
import type { WriteStream } from 'node:tty';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { BacklogReport } from '../../../lib/cli/backlog.report.js';

beforeEach(() =>
  vi.useFakeTimers({
    toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout', 'performance', 'Date'],
  }),
);
afterEach(() => vi.useRealTimers());

/** A report for this number of processes, its log lines, and its output on a terminal. */
function createReport(processes: number, hasTerminal = false) {
  const lines: string[] = [];
  const drawn: string[] = [];
  const stream = new PassThrough().on('data', (chunk) => drawn.push(String(chunk)));
  const terminal = Object.assign(stream, { isTTY: true, columns: 200 }) as unknown as WriteStream;
  const report = new BacklogReport({
    processes,
    writeLine: (line) => lines.push(line),
    terminal: hasTerminal ? terminal : undefined,
  });
  return { report, lines, drawn };
}

it('BacklogReport logs the progress every three seconds and the result at the end', () => {
  const { report, lines } = createReport(1);
  report.found(1_000);
  vi.advanceTimersByTime(2_000);
  report.advanced(290, 10);
  vi.advanceTimersByTime(1_000);
  report.advanced(700, 0);
  report.done();
  vi.advanceTimersByTime(60_000);

  expect(lines).toEqual([
    '300 of 1,000 stored notifications, 100/s, 7 s left',
    'Handled 990 stored notifications, 10 failed and will be retried or are dead letters',
  ]);
  expect(report.hasFailures).toBe(true);
});

it('BacklogReport sums up all processes and uses the count of the first one', () => {
  const { report, lines } = createReport(2);
  report.found(100);
  report.advanced(40, 0);
  report.found(60);
  report.advanced(60, 0);
  report.done();
  vi.advanceTimersByTime(3_000);
  report.done();

  expect(lines).toEqual([
    '100 of 100 stored notifications, 33/s, 0 s left',
    'Handled 100 stored notifications',
  ]);
  expect(report.hasFailures).toBe(false);
});

it('BacklogReport logs the handled notifications of a backlog that is left unfinished', () => {
  const { report, lines } = createReport(1);
  report.found(100);
  report.advanced(1, 0);
  report.end();
  report.end();

  expect(lines).toEqual(['Handled 1 stored notification']);
});

it('BacklogReport draws a bar on a terminal and clears it for log lines', () => {
  const { report, lines, drawn } = createReport(1, true);
  report.found(100);
  report.advanced(50, 0);
  vi.advanceTimersByTime(1_000);
  expect(drawn.join('')).toContain('50 of 100 stored notifications');
  drawn.length = 0;
  report.clearLine();
  expect(drawn).toEqual(['\r\u001B[K']);
  report.done();

  expect(lines).toEqual(['Handled 50 stored notifications']);
});
