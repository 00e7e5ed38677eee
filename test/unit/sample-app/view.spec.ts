import { expect, it } from 'vitest';
import { NOTHING, viewOf } from '../../../sample-app/src/page/public/view.js';

const waiting = { id: 1, printedAt: null, attempts: 0, error: null, isDead: false };
const failed = { ...waiting, attempts: 1, error: 'the press is jammed' };

it.each([
  [waiting, 'pending'],
  [failed, 'failed 1 time, will retry: the press is jammed'],
  [{ ...failed, attempts: 2 }, 'failed 2 times, will retry: the press is jammed'],
  [{ ...failed, attempts: 3, isDead: true }, 'dead letter after 3 attempts: the press is jammed'],
  [{ ...waiting, printedAt: '2026-11-21T12:00:00.000Z' }, /^printed at \d\d:\d\d:\d\d$/],
])('the view describes the progress of an edition: %o', (edition, text) => {
  const { editions } = viewOf({ ...NOTHING, editions: [edition] }, NOTHING);

  expect(editions).toEqual([
    expect.objectContaining({ title: 'Edition 1', text: expect.stringMatching(text) as unknown }),
  ]);
});
