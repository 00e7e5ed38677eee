import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineChannel } from '../../../lib/channels/channel.definition.js';
import { ChannelRegistry, type ChannelLike } from '../../../lib/channels/channel.registry.js';
import { thrownBy } from '../support/recording.js';

describe('ChannelRegistry', () => {
  it('resolves an undefined name to a broadcast channel', () => {
    expect(new ChannelRegistry().resolve('orders')).toMatchObject({ name: 'orders', delivery: 'broadcast' });
  });

  it('does not remember undefined names', () => {
    const registry = new ChannelRegistry();
    registry.resolve('orders');

    expect(registry.find('orders')).toBeUndefined();
  });

  it('finds a resolved definition by its name', () => {
    const registry = new ChannelRegistry();
    const orders = defineChannel('orders', { delivery: 'exactly-once', ordered: true });

    expect(registry.resolve(orders)).toBe(orders);
    expect(registry.resolve('orders')).toBe(orders);
    expect(registry.find('orders')).toBe(orders);
  });

  it('accepts the same definition any number of times', () => {
    const registry = new ChannelRegistry();
    const orders = defineChannel('orders');
    registry.resolve(orders);

    expect(registry.resolve(orders)).toBe(orders);
  });

  it('resolves equal definitions to the first one', () => {
    const registry = new ChannelRegistry();
    const codec = { encode: String, decode: Number };
    const schema = z.number();
    const stored = { delivery: 'exactly-once', retry: { maxAttempts: 3 } } as const;
    const first = defineChannel<number>('orders', { ...stored, codec, schema });
    const second = defineChannel<number>('orders', { ...stored, codec, schema });
    registry.resolve(first);

    expect(registry.resolve(second)).toBe(first);
  });

  it.each([
    ['delivery', { delivery: 'exactly-once' }],
    ['"ordered"', { delivery: 'exactly-once', ordered: true }],
    ['schema', { schema: z.object({ id: z.number() }) }],
    ['codec', { codec: { encode: () => 1, decode: () => ({ id: 1 }) } }],
    ['retry', { delivery: 'exactly-once', retry: { maxAttempts: 1 } }],
  ] as const)('rejects a second definition with a different %s', (_what, options) => {
    const registry = new ChannelRegistry();
    const stored = 'retry' in options || 'ordered' in options; // so that only one option differs
    registry.resolve(
      defineChannel(
        'orders',
        stored ? { delivery: 'exactly-once' } : { schema: z.object({ id: z.string() }) },
      ),
    );

    expect(thrownBy(() => registry.resolve(defineChannel('orders', options)))).toMatchObject({
      code: 'CHANNEL_CONFLICT',
      message: expect.stringContaining('one definition of the channel "orders"') as string,
    });
  });

  it('keeps the first definition after it rejected a second one', () => {
    const registry = new ChannelRegistry();
    const orders = defineChannel('orders');
    registry.resolve(orders);
    thrownBy(() => registry.resolve(defineChannel('orders', { delivery: 'exactly-once', ordered: true })));

    expect(registry.resolve('orders')).toBe(orders);
  });

  it.each([
    ['a class', class Order {}, 'the class Order'],
    ['options', { name: 'orders' }, 'an object'],
    ['undefined', undefined, 'undefined'],
    ['a number', 5, '5'],
    ['an array of names', ['orders', 'payments'], 'an array'],
  ])('rejects %s', (_what, channel: unknown, got) => {
    expect(thrownBy(() => new ChannelRegistry().resolve(channel as ChannelLike))).toMatchObject({
      code: 'INVALID_CHANNEL',
      message: expect.stringContaining(`got ${got}.`) as string,
    });
  });

  it('rejects names that PostgreSQL does not accept', () => {
    expect(thrownBy(() => new ChannelRegistry().resolve(''))).toMatchObject({ code: 'INVALID_CHANNEL' });
  });
});

describe('ChannelRegistry.select()', () => {
  class Author {}
  class Post {}

  /** Returns a registry that sends both entities on the channel "audit". */
  function createAudit() {
    const audit = defineChannel('audit');
    const registry = new ChannelRegistry();
    registry.useEntities({
      definitions: [audit],
      definitionOf: () => audit,
      classNamesOf: () => [],
      decoderOf: () => undefined,
      operationsOf: () => undefined,
      isOf: (entity) => (payload) => payload === entity,
      assertText: () => undefined,
    });
    return { registry, audit };
  }

  it('returns each channel once', () => {
    const registry = new ChannelRegistry();
    const orders = defineChannel('orders');

    expect(registry.select([orders, 'payments', 'orders']).map(({ definition }) => definition.name)).toEqual([
      'orders',
      'payments',
    ]);
  });

  it('selects only the changes of the named entities', () => {
    const { registry, audit } = createAudit();
    const [one, ...more] = registry.select([Author]);
    const [both] = registry.select([Author, Post]);

    expect(more).toEqual([]);
    expect(one?.definition).toBe(audit);
    expect([Author, Post].map((payload) => one?.isAddressed?.(payload))).toEqual([true, false]);
    expect([Author, Post, 'other'].map((payload) => both?.isAddressed?.(payload))).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('selects everything when the channel itself is named as well', () => {
    const { registry } = createAudit();

    expect(registry.select([Author, 'audit'])[0]?.isAddressed).toBeUndefined();
  });
});
