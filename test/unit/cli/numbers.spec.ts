import { expect, it } from 'vitest';
import { parseCount, parseSeconds } from '../../../lib/cli/numbers.js';

it('parseCount() accepts whole numbers from 1 and rejects other texts', () => {
  expect(parseCount('1')).toBe(1);
  expect(parseCount('2000')).toBe(2_000);
  for (const text of ['0', '-1', '1.5', 'x', '', '1e99'])
    expect(() => parseCount(text), text).toThrow('Expected a whole number of at least 1.');
});

it('parseSeconds() accepts seconds with fractions and rejects other texts', () => {
  expect(parseSeconds('0')).toBe(0);
  expect(parseSeconds('0.5')).toBe(0.5);
  for (const text of ['-1', 'x', '', ' ', 'Infinity', '1e300'])
    expect(() => parseSeconds(text), text).toThrow('seconds');
});
