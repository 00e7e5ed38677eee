import { describe, expect, it } from 'vitest';
import { OVERFLOW_POLICIES, type BufferLimits } from '../../../lib/common/overflow.js';
import { BoundedBuffer } from '../../../lib/dispatch/bounded-buffer.js';

const fill = (limits: BufferLimits, count: number) => {
  const buffer = new BoundedBuffer<number>(limits);
  const taken = Array.from({ length: count }, (_, index) => buffer.push(index + 1));
  return { buffer, taken };
};

function drain<T>(buffer: BoundedBuffer<T>): T[] {
  const items: T[] = [];
  for (let item = buffer.shift(); item !== undefined; item = buffer.shift()) items.push(item);
  return items;
}

describe('BoundedBuffer', () => {
  it('returns items in the order in which they came', () => {
    const { buffer, taken } = fill({ maxSize: 3, overflow: 'error' }, 3);

    expect(taken).toEqual([true, true, true]);
    expect(buffer.size).toBe(3);
    expect(drain(buffer)).toEqual([1, 2, 3]);
    expect(buffer.size).toBe(0);
  });

  it('returns undefined when it is empty, and keeps working', () => {
    const buffer = new BoundedBuffer<number>({ maxSize: 1, overflow: 'error' });

    expect([buffer.shift(), buffer.shift(), buffer.size]).toEqual([undefined, undefined, 0]);
    expect(buffer.push(1)).toBe(true);
    expect(buffer.shift()).toBe(1);
  });

  it('drops the oldest item with "drop-oldest" and returns false', () => {
    const { buffer, taken } = fill({ maxSize: 2, overflow: 'drop-oldest' }, 4);

    expect(taken).toEqual([true, true, false, false]);
    expect(drain(buffer)).toEqual([3, 4]);
  });

  it.each(['drop-newest', 'error'] as const)('drops the new item with "%s" and returns false', (overflow) => {
    const { buffer, taken } = fill({ maxSize: 2, overflow }, 4);

    expect(taken).toEqual([true, true, false, false]);
    expect(drain(buffer)).toEqual([1, 2]);
  });

  it('has room again for each item taken', () => {
    const { buffer } = fill({ maxSize: 2, overflow: 'drop-newest' }, 2);
    buffer.shift();

    expect(buffer.push(3)).toBe(true);
    expect(drain(buffer)).toEqual([2, 3]);
  });

  it('is empty after clear()', () => {
    const { buffer } = fill({ maxSize: 2, overflow: 'drop-newest' }, 2);
    buffer.shift();
    buffer.clear();

    expect(buffer.size).toBe(0);
    expect(buffer.push(3)).toBe(true);
    expect(drain(buffer)).toEqual([3]);
  });
});

const LIMITS = OVERFLOW_POLICIES.flatMap((overflow) =>
  [1, 2, 3, 7, 64].map((maxSize): BufferLimits => ({ maxSize, overflow })),
);

describe('BoundedBuffer over long runs', () => {
  it.each(LIMITS)('behaves like a plain array: $overflow, at most $maxSize', (limits) => {
    for (let seed = 1; seed <= 10; seed++) {
      const buffer = new BoundedBuffer<number>(limits);
      const model = new PlainBuffer(limits);
      const random = randomNumbers(seed);
      for (let step = 0; step < 2_000; step++) {
        const [actual, expected] = [buffer, model].map((subject) => operate(subject, random.at(step), step));
        if (actual !== expected || buffer.size !== model.size)
          expect.fail(`seed ${seed}, step ${step}: expected ${String(expected)}, got ${String(actual)}`);
      }
      expect(drain(buffer)).toEqual(model.items);
    }
  });
});

type Subject = Pick<BoundedBuffer<number>, 'push' | 'shift' | 'clear'>;

/** Alternates phases with more pushes and phases with more shifts. */
function operate(subject: Subject, random: number, step: number): unknown {
  if (random < 0.002) return subject.clear();
  const share = step % 400 < 200 ? 0.7 : 0.3;
  return random < share ? subject.push(step) : subject.shift();
}

/** The behaviour of a BoundedBuffer, implemented in the simplest way. */
class PlainBuffer {
  items: number[] = [];

  constructor(private readonly limits: BufferLimits) {}

  get size(): number {
    return this.items.length;
  }

  push(item: number): boolean {
    const hasRoom = this.items.length < this.limits.maxSize;
    if (!hasRoom && this.limits.overflow === 'drop-oldest') this.items.shift();
    if (hasRoom || this.limits.overflow === 'drop-oldest') this.items.push(item);
    return hasRoom;
  }

  shift(): number | undefined {
    return this.items.shift();
  }

  clear(): void {
    this.items = [];
  }
}

/** Pseudo-random numbers between 0 and 1 from a seed (mulberry32): a failure can be repeated. */
function randomNumbers(seed: number): { at(step: number): number } {
  return {
    at(step) {
      let state = (seed * 0x9e3779b9 + step * 0x6d2b79f5) | 0;
      state = Math.imul(state ^ (state >>> 15), state | 1);
      state ^= state + Math.imul(state ^ (state >>> 7), state | 61);
      return ((state ^ (state >>> 14)) >>> 0) / 2 ** 32;
    },
  };
}
