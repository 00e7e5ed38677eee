import { ViewEntity } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { NotifyChanges, type NotifyChangesOptions } from 'nestjs-pgpubsub';
import { author, rejectionOf } from './trigger.resolver.fixtures.js';

describe('an invalid declaration', () => {
  it.each<[string, NotifyChangesOptions, string]>([
    ['"of" without updates', { of: ['name'], on: ['insert', 'delete'] }, 'expected "of" together with the operation update, got it for insert, delete'],
    ['"of" a computed property', { of: ['posts'] }, 'expected properties with a column in the table, got "posts", which is computed by a query'],
    ['"of" an unknown property', { of: ['full_name'] }, 'got "full_name"'],
    ['"columns" with a computed property', { columns: ['posts'] }, 'got "posts", which is computed by a query'],
    ['"exclude" of an unknown property', { exclude: ['nope'] }, 'got "nope"'],
    ['"when" of TRUNCATE', { when: 'NEW.id > 1', on: 'truncate' }, 'expected "when" together with operations on rows, got it for truncate'],
    ['"columns" and "exclude"', { columns: ['id'], exclude: ['name'] }, 'expected "columns" or "exclude", got both'],
    ['no column', { columns: [] }, 'expected at least one column that the notification carries, got none: name those that it carries in "columns", or leave "columns" out to carry all'],
    ['every column in "exclude"', { exclude: ['id', 'name', 'editor', 'address', 'password'] }, 'expected at least one column that the notification carries, got none'],
    ['"ordered" for broadcasts', { ordered: true }, `expected "ordered" for exactly-once channels only, got it for broadcast. Add delivery: 'exactly-once', or remove "ordered".`],
    ['"wake" for broadcasts', { wake: 'poll', pollIntervalMs: 5 }, 'expected "wake" for exactly-once channels only, got it for broadcast'],
    ['"retry" for broadcasts', { retry: { maxAttempts: 5 } }, 'expected "retry" for exactly-once channels only, got it for broadcast'],
    ['"pollIntervalMs" of a channel that NOTIFY wakes', { delivery: 'exactly-once', pollIntervalMs: 5 }, `expected "pollIntervalMs" only together with wake: 'poll', got it alone`],
    ['an empty "when"', { when: '' }, 'to be a string that is not empty'],
  ])('(%s) is rejected', async (_, options, expected) => {
    const message = await rejectionOf([author(options)]);
    expect(message).toContain('@NotifyChanges() on Author');
    expect(message).toContain(expected);
  }); // prettier-ignore

  it('(a view) is rejected', async () => {
    @ViewEntity({ expression: 'select 1 as id' })
    @NotifyChanges()
    class Authors {
      id!: number;
    }
    expect(await rejectionOf([Authors])).toContain(
      '@NotifyChanges() on Authors: expected a table, got a view',
    );
  });

  it('(ordered without a primary key) is rejected', async () => {
    const options = { table: 'log', delivery: 'exactly-once', ordered: true };
    expect(await rejectionOf([], options)).toContain(
      'expected a primary key, because the channel is ordered',
    );
    expect(await rejectionOf([], { ...options, primaryKey: ['id'] })).toBe('nothing was rejected');
  });

  it('(two for one table and channel) is rejected', async () => {
    const expected = 'expected one declaration for the table "author" and the channel "author", got two';
    expect(await rejectionOf([author({}, { channel: 'author', on: 'insert' })])).toContain(expected);
    expect(await rejectionOf([author({})], { table: 'author' })).toContain(expected);
    expect(await rejectionOf([author({}, { channel: 'other' })], { table: 'post' })).toBe(
      'nothing was rejected',
    );
  });
});
