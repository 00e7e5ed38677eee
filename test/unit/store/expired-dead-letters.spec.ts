import { defineChannel } from 'nestjs-pgpubsub';
import { expect, it } from 'vitest';
import { keptDeadLetters } from '../../../lib/store/expired-dead-letters.js';

const stored = (name: string, keepMs?: number | false) =>
  defineChannel(name, {
    delivery: 'exactly-once',
    deadLetters: keepMs === undefined ? {} : { keepMs },
  });

it('takes the age of the channel, else that of the module, for exactly-once channels', () => {
  const channels = [stored('own', 5), stored('zero', 0), stored('kept', false), stored('plain')];
  const all = [...channels, defineChannel('bare', { delivery: 'exactly-once' }), defineChannel('broadcast')];

  expect(Object.fromEntries(keptDeadLetters(all, { keepMs: 9 }))).toEqual({
    own: 5,
    zero: 0,
    plain: 9,
    bare: 9,
  });
});

it('names no channel that keeps its dead letters', () => {
  expect(Object.fromEntries(keptDeadLetters([stored('own', 5), stored('plain')], { keepMs: false }))).toEqual(
    { own: 5 },
  );
});
