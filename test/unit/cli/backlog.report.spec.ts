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

/** A report for so many processes, what it writes into the log, and what it draws on a terminal if there is one. */
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

it('says every few seconds how far it is, and in the end what has become of it', () => {
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
    'Handled 990 stored notifications, 10 failed: they are tried again, or dead letters',
  ]);
  expect(report.hasFailures).toBe(true);
});

it('is that of all processes, of which the first to look has counted', () => {
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

it('says what was done of a backlog that is left as it is', () => {
  const { report, lines } = createReport(1);
  report.found(100);
  report.advanced(1, 0);
  report.end();
  report.end();

  expect(lines).toEqual(['Handled 1 stored notification']);
});

it('is a bar on a terminal, which makes room for the log', () => {
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
