import { describe, expect, it } from 'vitest';
import { AdaptiveBatchSize, type Claimed } from '../../../lib/claims/batch-size.js';

const create = (limits: Partial<{ maxSize: number; maxTimeMs: number }> = {}) =>
  new AdaptiveBatchSize({ maxSize: 100, maxTimeMs: 250, ...limits });

/** The position of a row. */
const at = (id: string) => ({ availableAt: '1785000000.123456', id });

/** A claim that got all rows that it wanted. */
const full = (rest: Partial<Claimed> = {}): Claimed => ({
  wanted: 10,
  size: 10,
  last: at('10'),
  from: undefined,
  tookMs: 5,
  ...rest,
});

describe('AdaptiveBatchSize.size', () => {
  it('starts small, because the duration of a handler is unknown', () => {
    expect(create().size).toBe(10); // 25 ms each
  });

  it('grows at once when rows turn out to be fast', () => {
    const batchSize = create();
    batchSize.handled(10, 50, 40);
    expect(batchSize.size).toBe(50); // 5 ms each
    batchSize.handled(50, 150, 100);
    expect(batchSize.size).toBe(83); // 3 ms each
  });

  it('shrinks step by step when rows turn out to be slow', () => {
    const batchSize = create();
    batchSize.handled(100, 100, 80); // 1 ms each
    const sizes = Array.from({ length: 4 }, () => {
      batchSize.handled(10, 1_000, 980); // 100 ms each
      return batchSize.size;
    });
    expect(sizes).toEqual([4, 3, 2, 2]);
  });

  it('recovers from one slow claim with the next fast one', () => {
    const batchSize = create();
    batchSize.handled(10, 10_000, 9_990);
    expect(batchSize.size).toBe(1);
    batchSize.handled(1, 1, 0.5);
    expect(batchSize.size).toBe(100);
  });

  it('depends on the duration of one row, not of the claim', () => {
    const [few, many] = [create(), create()];
    few.handled(2, 20, 10);
    many.handled(20, 200, 100);
    expect(few.size).toBe(25);
    expect(many.size).toBe(25);
  });

  it('never exceeds the maximum', () => {
    const batchSize = create({ maxSize: 7 });
    expect(batchSize.size).toBe(7);
    batchSize.handled(7, 0.001, 0);
    expect(batchSize.size).toBe(7);
  });

  it('is at least one row, no matter how slow rows are', () => {
    const batchSize = create();
    for (let claim = 0; claim < 50; claim++) batchSize.handled(1, 3_600_000, 3_600_000);
    expect(batchSize.size).toBe(1);
    expect(create({ maxTimeMs: 0 }).size).toBe(1);
  });

  it('does not change after a claim that handled no row', () => {
    const batchSize = create();
    batchSize.claimed(full(), 0);
    batchSize.handled(10, 50, 1);
    batchSize.handled(0, 60_000, 60_000);
    expect(batchSize.size).toBe(50);
    expect(batchSize.isSlow).toBe(false);
  });
});

describe('AdaptiveBatchSize.nextCursor()', () => {
  it('starts without a cursor', () => {
    expect(create().nextCursor(0)).toBeUndefined();
  });

  it('continues behind the last row while claims are full', () => {
    const batchSize = create();
    batchSize.claimed(full({ last: at('10') }), 1_000);
    expect(batchSize.nextCursor(1_001)).toEqual(at('10'));
    batchSize.claimed(full({ last: at('20'), from: at('10') }), 1_010);
    expect(batchSize.nextCursor(1_011)).toEqual(at('20'));
  });

  it('starts again after a claim that was not full', () => {
    const batchSize = create();
    batchSize.claimed(full(), 1_000);
    batchSize.claimed(full({ size: 9, last: at('19'), from: at('10') }), 1_010);
    expect(batchSize.nextCursor(1_011)).toBeUndefined();
    batchSize.claimed(full({ size: 0, last: undefined }), 1_020);
    expect(batchSize.nextCursor(1_021)).toBeUndefined();
  });

  it('starts again at least once a second, for rows that were committed late', () => {
    const batchSize = create();
    batchSize.claimed(full({ tookMs: 49 }), 1_000);
    expect(batchSize.nextCursor(1_999)).toEqual(at('10'));
    expect(batchSize.nextCursor(2_000)).toBeUndefined();
  });

  it('does not postpone the next full read with claims that continue', () => {
    const batchSize = create();
    batchSize.claimed(full(), 1_000);
    for (let now = 1_100; now < 2_000; now += 100)
      batchSize.claimed(full({ last: at(String(now)), from: at('10'), tookMs: 10_000 }), now);
    expect(batchSize.nextCursor(1_999)).toEqual(at('1900'));
    expect(batchSize.nextCursor(2_000)).toBeUndefined();
  });

  it('starts again after 20 times the duration of a slow full read, and not earlier', () => {
    const batchSize = create();
    batchSize.claimed(full({ tookMs: 200 }), 1_000);
    expect(batchSize.nextCursor(4_999)).toEqual(at('10'));
    expect(batchSize.nextCursor(5_000)).toBeUndefined();
  });

  it('continues behind the last row after a full read', () => {
    const batchSize = create();
    batchSize.claimed(full(), 1_000);
    batchSize.claimed(full({ last: at('30') }), 2_500);
    expect(batchSize.nextCursor(3_499)).toEqual(at('30'));
    expect(batchSize.nextCursor(3_500)).toBeUndefined();
  });
});

describe('AdaptiveBatchSize.isSlow', () => {
  it('is true before anything is known', () => {
    expect(create().isSlow).toBe(true);
  });

  it.each([
    [true, 'handlers take longer than claiming and completing', 10, 40, 25.5],
    [false, 'handlers take as long as claiming and completing', 10, 40, 25],
    [false, 'handlers take almost no time', 10, 20, 1],
    [false, 'claiming takes longest', 1_000, 100, 90],
    [false, 'completing takes longest', 1, 100, 45],
  ])('is %s when %s', (expected, _case, claimMs, tookMs, handlingMs) => {
    const batchSize = create();
    batchSize.claimed(full({ tookMs: claimMs }), 0);
    batchSize.handled(10, tookMs, handlingMs);
    expect(batchSize.isSlow).toBe(expected);
  });

  it('changes with each claim', () => {
    const batchSize = create();
    batchSize.claimed(full({ tookMs: 1_000 }), 0);
    batchSize.claimed(full({ tookMs: 1 }), 0);
    batchSize.handled(10, 100, 90);
    expect(batchSize.isSlow).toBe(true);
    batchSize.handled(10, 100, 10);
    expect(batchSize.isSlow).toBe(false);
  });
});
