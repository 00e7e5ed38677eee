import { PassThrough } from 'node:stream';
import type { WriteStream } from 'node:tty';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Progress } from '../../../lib/cli/progress.js';

beforeEach(() =>
  vi.useFakeTimers({
    toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout', 'performance', 'Date'],
  }),
);
afterEach(() => vi.useRealTimers());

const what = 'stored notifications';

describe('Progress without a terminal', () => {
  const begin = (total: number) => {
    const lines: string[] = [];
    const writeLine = (line: string) => void lines.push(line);
    return { lines, progress: new Progress({ what, total, writeLine, terminal: undefined }) };
  };

  it('writes the count, the rate and the remaining time every three seconds', () => {
    const { lines, progress } = begin(12_000);
    vi.advanceTimersByTime(2_000);
    progress.advance(4_500);
    vi.advanceTimersByTime(1_000);
    progress.advance(3_000);
    vi.advanceTimersByTime(3_000);
    progress.end();
    vi.advanceTimersByTime(60_000);

    expect(lines).toEqual([
      '4,500 of 12,000 stored notifications, 1,500/s, 5 s left',
      '7,500 of 12,000 stored notifications, 1,250/s, 4 s left',
    ]);
  });

  it('writes nothing about work that ends within three seconds, or about no work', () => {
    const { lines, progress } = begin(10);
    const { lines: none } = begin(0);
    progress.advance(10);
    vi.advanceTimersByTime(2_900);
    progress.end();
    vi.advanceTimersByTime(60_000);

    expect([...lines, ...none]).toEqual([]);
  });

  it('raises the total for work that was added, and shows long times in minutes', () => {
    const { lines, progress } = begin(1_000);
    progress.advance(15);
    vi.advanceTimersByTime(3_000);
    progress.advance(1_000);
    vi.advanceTimersByTime(3_000);
    progress.end();

    expect(lines).toEqual([
      '15 of 1,000 stored notifications, 5/s, 4 min left',
      '1,015 of 1,015 stored notifications, 169/s, 0 s left',
    ]);
  });
});

describe('Progress on a terminal', () => {
  it('draws a bar below other output and clears it at the end', () => {
    let drawn = '';
    const stream = new PassThrough().on('data', (chunk) => (drawn += String(chunk)));
    const terminal = Object.assign(stream, { isTTY: true, columns: 200 }) as unknown as WriteStream;
    const lines: string[] = [];
    const progress = new Progress({ what, total: 100, writeLine: (line) => lines.push(line), terminal });
    vi.advanceTimersByTime(1_000);
    progress.advance(50);
    vi.advanceTimersByTime(1_000);

    expect(drawn).toContain(
      `${'█'.repeat(12)}${'░'.repeat(12)} 50 % | 50 of 100 stored notifications, 50/s, 1 s left`,
    );
    drawn = '';
    progress.clearLine();
    expect(drawn).toBe('\r\u001B[K');
    vi.advanceTimersByTime(1_000);
    expect(drawn).toContain('50 of 100');
    drawn = '';
    progress.end();
    vi.advanceTimersByTime(60_000);
    expect(drawn).toContain('\u001B[0J'); // clears everything below the cursor
    expect(lines).toEqual([]);
  });
});
