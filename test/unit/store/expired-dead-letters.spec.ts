import { defineChannel } from 'nestjs-pgpubsub';
import { expect, it } from 'vitest';
import { keptDeadLetters } from '../../../lib/store/expired-dead-letters.js';

const stored = (name: string, keepMs?: number | false) =>
  defineChannel(name, {
    delivery: 'exactly-once',
    deadLetters: keepMs === undefined ? {} : { keepMs },
  });

it('keptDeadLetters() returns the age of each exactly-once channel, by default that of the module', () => {
  const channels = [stored('own', 5), stored('zero', 0), stored('kept', false), stored('plain')];
  const all = [...channels, defineChannel('bare', { delivery: 'exactly-once' }), defineChannel('broadcast')];

  expect(Object.fromEntries(keptDeadLetters(all, { keepMs: 9 }))).toEqual({
    own: 5,
    zero: 0,
    plain: 9,
    bare: 9,
  });
});

it('keptDeadLetters() omits channels that keep their dead letters', () => {
  expect(Object.fromEntries(keptDeadLetters([stored('own', 5), stored('plain')], { keepMs: false }))).toEqual(
    { own: 5 },
  );
});
