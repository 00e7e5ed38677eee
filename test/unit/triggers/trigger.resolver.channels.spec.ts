import { Entity, PrimaryGeneratedColumn } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { NotifyChanges, defineChannel, type NotifyChangesOptions } from 'nestjs-pgpubsub';
import { resolved } from '../support/resolved.js';
import { author, firstOf, rejectionOf } from './trigger.resolver.fixtures.js';

describe('the default channel', () => {
  it.each([
    ['public', undefined, 'author'],
    ['public', 'public', 'author'],
    ['public', 'audit', 'audit.author'],
    ['app', undefined, 'author'],
    ['app', 'app', 'author'],
    ['app', 'public', 'public.author'],
  ])(
    'for a DataSource with the schema %s and a table in the schema %s is %s',
    async (schema, own, expected) => {
      @Entity({ name: 'author', ...(own && { schema: own }) })
      @NotifyChanges()
      class Author {
        @PrimaryGeneratedColumn() id!: number;
      }
      const [found] = await resolved([Author], [], { schema });
      expect(found).toMatchObject({ channel: expected, schema: own ?? schema });
      const [listed] = await resolved([], [{ table: 'author', ...(own && { schema: own }) }], { schema });
      expect(listed?.channel).toBe(expected);
    },
  );

  it('has at most 63 bytes including the schema, because the server rejects a longer name', async () => {
    const table = 'é'.repeat(28); // 56 bytes
    expect((await resolved([], [{ table, schema: 'public' }]))[0]?.channel).toBe(table);
    expect((await resolved([], [{ table, schema: 'sixbyt' }]))[0]?.channel).toBe(`sixbyt.${table}`);
    expect(await rejectionOf([], { table, schema: 'sevenby' })).toBe(
      `the table "${table}": expected a channel of its own for "sevenby.${table}", whose name has more than 63 bytes, ` +
        'got none: give it "channel". Correct the declaration.',
    );
    const named = { table, schema: 'sevenby', channel: 'short' };
    expect((await resolved([], [named]))[0]?.channel).toBe('short');
  });
});

describe('the option "channel"', () => {
  it('accepts any name, and the delivery of a definition', async () => {
    const Changed = defineChannel('changed', { delivery: 'exactly-once', ordered: true, wake: 'poll' });
    expect(await firstOf([author({ channel: Changed })])).toMatchObject({
      channel: 'changed',
      delivery: 'exactly-once',
      ordered: true,
      wake: 'poll',
      definition: Changed,
    });
    expect(await firstOf([author({ channel: 'Ein Name: é' })])).toMatchObject({
      channel: 'Ein Name: é',
      delivery: 'broadcast',
      definition: undefined,
    });
  });

  it('rejects options that contradict its definition', async () => {
    const Changed = defineChannel('changed', { delivery: 'exactly-once', retry: { maxAttempts: 3 } });
    const declared = (options: NotifyChangesOptions) => rejectionOf([author({ channel: Changed, ...options })]);
    expect(await declared({ delivery: 'exactly-once', retry: { maxAttempts: 3 } })).toBe('nothing was rejected');
    expect(await declared({ delivery: 'broadcast' })).toContain(
      'expected "delivery" to be that of the channel "changed" ("exactly-once"), got "broadcast"',
    );
    expect(await declared({ retry: { maxAttempts: 4 } })).toContain('expected "retry" to be that of the channel');
    expect(await declared({ deadLetters: { keepMs: 5 } })).toContain('expected "deadLetters" to be that of the channel "changed" (none), got {"keepMs":5}');
    expect(await declared({ timeoutMs: 5 })).toContain('expected "timeoutMs" to be that of the channel "changed" (none), got 5');
  }); // prettier-ignore
});
