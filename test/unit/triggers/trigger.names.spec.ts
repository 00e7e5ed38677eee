import { describe, expect, it } from 'vitest';
import { OPERATIONS } from '../../../lib/channels/entity-change.js';
import { conditionFunctionName, functionName, triggerName } from '../../../lib/triggers/trigger.names.js';

const bytes = (name: string) => Buffer.byteLength(name);

/** Channel names of all kinds, with up to 63 bytes. */
const CHANNELS = [
  'a', '_', '__', 'author', 'Author', 'AUTHOR', 'author_', 'audit.author', 'audit_author', 'a-b', 'a b', "it's", 'a"b', 'back\\slash', '',
  'autor\u00e9', '\u{1F600}'.repeat(15), '\u00e9'.repeat(31), '\u00df'.repeat(31), '\u0130'.repeat(31), 'x'.repeat(44), 'x'.repeat(45), 'x'.repeat(63), `${'x'.repeat(62)}y`,
  `${'x'.repeat(61)}\u00e9`, '1', 'author_insert', 'author_insert_insert', 'insert', 'truncate', '_truncate',
]; // prettier-ignore

describe('the name of a trigger', () => {
  it.each([
    ['author', 'insert', '_pgpubsub_author_insert'],
    ['post_changed', 'truncate', '_pgpubsub_post_changed_truncate'],
    ['_x', 'delete', '_pgpubsub__x_delete'],
    ['x'.repeat(44), 'truncate', `_pgpubsub_${'x'.repeat(44)}_truncate`],
  ] as const)('is readable for the channel %s and the operation %s: %s', (channel, operation, expected) => {
    expect(triggerName(channel, operation)).toBe(expected);
  });

  it.each(['Author', 'audit.author', 'a-b', 'é', 'x'.repeat(45), "it's", ''])(
    'has a hash for %j, because the channel is not a plain name or too long',
    (channel) => {
      expect(triggerName(channel, 'update')).toMatch(/^_pgpubsub[a-z0-9_]*_[0-9a-f]{8}_update$/);
    },
  );

  it('is the same on every machine', () => {
    expect(triggerName('audit.author', 'insert')).toBe('_pgpubsub_audit_author_e1b43dfd_insert');
  });

  it.each(CHANNELS)(
    'is ASCII and has at most 63 bytes for %j, so that the server does not truncate it',
    (channel) => {
      for (const operation of OPERATIONS) {
        const name = triggerName(channel, operation);
        expect(bytes(name)).toBeLessThanOrEqual(63);
        expect(name).toMatch(/^_pgpubsub[a-z0-9_]*$/);
      }
    },
  );

  it('differs between channels and between operations', () => {
    const names = CHANNELS.flatMap((channel) => OPERATIONS.map((one) => triggerName(channel, one)));
    expect(new Set(names).size).toBe(names.length);
  });

  it('does not collide with that of a channel whose name looks like a hash', () => {
    const [, stem = ''] = /^_pgpubsub_(.*)_insert$/.exec(triggerName('Author', 'insert')) ?? [];
    expect(triggerName(stem, 'insert')).not.toBe(triggerName('Author', 'insert'));
  });
});

describe('the names of generated functions', () => {
  const PAIRS = CHANNELS.flatMap((table) => CHANNELS.map((channel) => [table, channel] as const));

  it('have a hash and differ by table and channel', () => {
    expect(functionName('author', 'author')).toMatch(/^pgpubsub_author_author_[0-9a-f]{8}$/);
    expect(functionName('a_b', 'c')).not.toBe(functionName('a', 'b_c'));
    const names = PAIRS.flatMap(([table, channel]) => [
      functionName(table, channel),
      conditionFunctionName(table, channel),
    ]);
    expect(new Set(names).size).toBe(names.length);
  });

  it('are ASCII and have at most 63 bytes, so that the server does not truncate them', () => {
    for (const [table, channel] of PAIRS) {
      const name = conditionFunctionName(table, channel);
      expect(name).toBe(`${functionName(table, channel)}_when`);
      expect(name).toMatch(/^pgpubsub[a-z0-9_]*$/);
      expect(bytes(name)).toBeLessThanOrEqual(63);
    }
  });

  it('differ for names that differ only in case', () => {
    expect(functionName('Author', 'a')).not.toBe(functionName('author', 'a'));
  });
});
