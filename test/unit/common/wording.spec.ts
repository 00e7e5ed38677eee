import { expect, it } from 'vitest';
import { counted, renderDelay } from '../../../lib/common/wording.js';

it('counted() uses the singular for one and the plural otherwise', () => {
  expect([0, 1, 2].map((count) => counted(count, 'dead letter'))).toEqual([
    '0 dead letters',
    '1 dead letter',
    '2 dead letters',
  ]);
});

it('renderDelay() renders short delays in ms and longer ones in s', () => {
  expect([0, 38.6, 999, 1_000, 25_098].map(renderDelay)).toEqual([
    '0 ms',
    '39 ms',
    '999 ms',
    '1.0 s',
    '25.1 s',
  ]);
});
