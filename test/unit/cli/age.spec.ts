import { expect, it } from 'vitest';
import { renderAge } from '../../../lib/cli/age.js';

it.each([
  [0, '0 s'],
  [999, '0 s'],
  [59_999, '59 s'],
  [60_000, '1 min'],
  [3_599_999, '59 min'],
  [3_600_000, '1 h'],
  [86_399_999, '23 h'],
  [200_000_000, '2 d'],
])('renderAge() renders %i ms as %s', (ms, text) => {
  expect(renderAge(ms)).toBe(text);
});
