import { beforeAll, describe, expect, it } from 'vitest';
import { isChannelDefinition } from '../../../lib/channels/channel-brand.js';
import * as channels from '../../../lib/channels/channel.definition.js';
import { ChannelRegistry } from '../../../lib/channels/channel.registry.js';
import * as errors from '../../../lib/common/errors.js';
import { isEntityManager } from '../../../lib/postgres/executor.js';

/** Imports a module a second time, as of another copy of the package: the query makes it differ. */
async function copyOf<T>(path: string): Promise<T> {
  const specifier = `../../../lib/${path}?copy`;
  return (await import(/* @vite-ignore */ specifier)) as T;
}

const hostile = new Proxy(
  {},
  {
    has() {
      throw new Error('trapped');
    },
  },
);

describe('errors of this library', () => {
  let other: typeof errors;
  beforeAll(async () => {
    other = await copyOf<typeof errors>('common/errors.ts');
    expect(other.PgPubSubError).not.toBe(errors.PgPubSubError);
  });

  it('are recognized when they come from another copy of the package', () => {
    const error = new other.PgPubSubError('TIMED_OUT', 'late');
    expect(error).not.toBeInstanceOf(errors.PgPubSubError);
    expect(errors.isPgPubSubError(error)).toBe(true);
    class Refused extends other.NonRetryableError {}
    expect(errors.isNonRetryable(new Refused('no'))).toBe(true);
  });

  it('are not confused with other values', () => {
    for (const value of [undefined, null, 'text', new Error('boom'), { name: 'PgPubSubError' }, hostile]) {
      expect(errors.isPgPubSubError(value)).toBe(false);
      expect(errors.isNonRetryable(value)).toBe(false);
    }
  });

  it('have no visible brand', () => {
    const error = new errors.PgPubSubError('TIMED_OUT', 'late');
    expect(Reflect.ownKeys(error).toSorted((a, b) => String(a).localeCompare(String(b)))).toEqual([
      'code',
      'message',
      'name',
      'stack',
    ]);
  });
});

describe('channel definitions', () => {
  let other: typeof channels;
  beforeAll(async () => {
    other = await copyOf<typeof channels>('channels/channel.definition.ts');
    expect(other.ChannelDefinition).not.toBe(channels.ChannelDefinition);
  });

  it('are recognized when they come from another copy of the package', () => {
    const definition = other.defineChannel('orders', { delivery: 'exactly-once' });
    expect(isChannelDefinition(definition)).toBe(true);
    expect(new ChannelRegistry().resolve(definition)).toBe(definition);
  });

  it('are the same channel when they are equal, and conflict when they differ', () => {
    const registry = new ChannelRegistry();
    const own = registry.resolve(channels.defineChannel('orders', { delivery: 'exactly-once' }));
    expect(registry.resolve(other.defineChannel('orders', { delivery: 'exactly-once' }))).toBe(own);
    expect(() => registry.resolve(other.defineChannel('orders'))).toThrow('two with different options');
  });

  it('are not confused with other values', () => {
    for (const value of [undefined, null, 'orders', { name: 'orders' }, hostile])
      expect(isChannelDefinition(value)).toBe(false);
  });
});

it.each([undefined, null, 'manager', {}, { '@instanceof': 'EntityManager' }])(
  'isEntityManager() returns false for %s',
  (value) => {
    expect(isEntityManager(value)).toBe(false);
  },
);
