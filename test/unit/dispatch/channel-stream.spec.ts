import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineChannel, type ChannelDefinition } from '../../../lib/channels/channel.definition.js';
import type { DecodedText, TextDecoder } from '../../../lib/channels/entity-source.js';
import type { SchemaResult, StandardSchema } from '../../../lib/channels/standard-schema.js';
import { RegisteredChannel } from '../../../lib/channels/registered-channel.js';
import { ChannelStream } from '../../../lib/dispatch/channel-stream.js';
import { createNotification, defer, recordEvents, settled, type Deferred } from '../support/recording.js';

interface StreamSettings {
  readonly maxSize?: number;
  readonly decoder?: TextDecoder;
}

function createStream(definition: ChannelDefinition, { maxSize = 10, decoder }: StreamSettings = {}) {
  const { events, report } = recordEvents();
  const channel = new RegisteredChannel(definition, true);
  channel.useEntities(decoder);
  const stream = new ChannelStream({
    channel,
    createNotification,
    buffer: { maxSize, overflow: 'drop-oldest' },
    report,
  });
  const payloads: unknown[] = [];
  stream.add({ next: ({ payload }) => payloads.push(payload), complete: () => undefined });
  const accept = (...texts: string[]) => {
    for (const text of texts) stream.accept({ channel: 'orders', text, processId: 1 });
  };
  return { accept, events, payloads };
}

/** A schema whose results for objects are given by hand. Other payloads are accepted at once. */
function createSchema() {
  const asked: Deferred<SchemaResult<unknown>>[] = [];
  const validate = (value: unknown) => {
    if (typeof value !== 'object') return { value };
    const verdict = defer<SchemaResult<unknown>>();
    asked.push(verdict);
    return verdict.promise;
  };
  const schema: StandardSchema = { '~standard': { version: 1, vendor: 'test', validate } };
  return { asked, definition: defineChannel('orders', { schema }) };
}

const rejected = (message: RegExp) => ({
  type: 'rejected',
  channel: 'orders',
  error: expect.objectContaining({ message: expect.stringMatching(message) as string }) as Error,
});

describe('ChannelStream', () => {
  it('passes on the output of the schema', () => {
    const { accept, payloads } = createStream(defineChannel('orders', { schema: z.coerce.number() }));
    accept('"1"', '2');

    expect(payloads).toEqual([1, 2]);
  });

  it('reports a payload that the schema rejects, and passes on the next one', () => {
    const { accept, payloads, events } = createStream(defineChannel('orders', { schema: z.number() }));
    accept('1', '"two"', '3');

    expect(payloads).toEqual([1, 3]);
    expect(events).toEqual([rejected(/schema of channel "orders"/)]);
  });

  it('reports a payload that the codec cannot decode, and passes on the next one', () => {
    const codec = { encode: String, decode: BigInt };
    const { accept, payloads, events } = createStream(defineChannel<bigint>('orders', { codec }));
    accept('"1"', '"two"', '"3"');

    expect(payloads).toEqual([1n, 3n]);
    expect(events).toEqual([rejected(/codec can decode/)]);
  });

  it('reports a schema that throws, and passes on the next payload', () => {
    const validate = (value: unknown) => {
      if (value === 2) throw new Error('no such order');
      return { value };
    };
    const schema: StandardSchema = { '~standard': { version: 1, vendor: 'test', validate } };
    const { accept, payloads, events } = createStream(defineChannel('orders', { schema }));
    accept('1', '2', '3');

    expect(payloads).toEqual([1, 3]);
    expect(events).toEqual([rejected(/no such order/)]);
  });
});

describe('ChannelStream with an asynchronous schema', () => {
  it('keeps the order and validates one payload at a time', async () => {
    const { definition, asked } = createSchema();
    const { accept, payloads } = createStream(definition);
    accept('{}', '"second"', '{}', '"fourth"');
    await settled();
    expect(asked).toHaveLength(1);
    expect(payloads).toEqual([]);

    asked[0]?.resolve({ value: 'first' });
    await settled();
    expect(payloads).toEqual(['first', 'second']);

    accept('"fifth"');
    asked[1]?.resolve({ value: 'third' });
    await settled();
    expect(payloads).toEqual(['first', 'second', 'third', 'fourth', 'fifth']);
  });

  it('passes on synchronously again when nothing waits', async () => {
    const { definition, asked } = createSchema();
    const { accept, payloads } = createStream(definition);
    accept('{}');
    asked[0]?.resolve({ value: 'first' });
    await settled();
    accept('"second"');

    expect(payloads).toEqual(['first', 'second']);
  });

  it.each([
    [
      'a payload that it rejects',
      (verdict?: Deferred<SchemaResult<unknown>>) => verdict?.resolve({ issues: [{ message: 'no' }] }),
    ],
    ['an error', (verdict?: Deferred<SchemaResult<unknown>>) => verdict?.reject(new Error('no'))],
  ])('reports %s, and passes on the next payload', async (_how, decide) => {
    const { definition, asked } = createSchema();
    const { accept, payloads, events } = createStream(definition);
    accept('{}', '"second"', '{}');
    decide(asked[0]);
    await settled();
    asked[1]?.resolve({ value: 'third' });
    await settled();

    expect(payloads).toEqual(['second', 'third']);
    expect(events).toEqual([rejected(/no/)]);
  });

  it('drops the oldest of too many waiting payloads, and counts them', async () => {
    const { definition, asked } = createSchema();
    const { accept, payloads, events } = createStream(definition, { maxSize: 2 });
    accept('{}', '1', '2', '3', '4');
    asked[0]?.resolve({ value: 0 });
    await settled();

    expect(payloads).toEqual([0, 3, 4]);
    expect(events).toEqual(
      [1, 2].map((total) => ({
        type: 'dropped', channel: 'orders', receiver: 'the schema of the channel', total,
      })),
    ); // prettier-ignore
  });
});

describe('ChannelStream with a full buffer', () => {
  const dropped = (total: number) => ({
    type: 'dropped', channel: 'orders', receiver: 'the schema of the channel', total,
  }); // prettier-ignore

  it('holds no more than its size, including payloads that are decoded ahead', async () => {
    const { definition, asked } = createSchema();
    const { accept, payloads, events } = createStream(definition, { maxSize: 2 });
    accept('{}', '{}', '1');
    asked[0]?.resolve({ value: 'first' });
    await settled();
    accept('2', '3', '4');
    expect(events).toEqual([dropped(1), dropped(2)]);

    asked[1]?.resolve({ value: 'second' });
    await settled();
    expect(payloads).toEqual(['first', 'second', 1, 4]);
  });

  it('accepts a payload while the only other one is being validated', async () => {
    const { definition, asked } = createSchema();
    const { accept, payloads, events } = createStream(definition, { maxSize: 1 });
    accept('{}', '{}');
    asked[0]?.resolve({ value: 'first' });
    await settled();
    accept('1');
    asked[1]?.resolve({ value: 'second' });
    await settled();

    expect(payloads).toEqual(['first', 'second', 1]);
    expect(events).toEqual([]);
  });
});

describe('ChannelStream of an entity', () => {
  it('keeps the order while rows are loaded', async () => {
    const loading = defer<DecodedText>();
    const decoder: TextDecoder = (text) =>
      text === 'truncated' ? loading.promise : { payload: text, context: {} };
    const { accept, payloads } = createStream(defineChannel('orders'), { decoder });
    accept('truncated', 'second');
    await settled();
    expect(payloads).toEqual([]);

    loading.resolve({ payload: 'first', context: {} });
    await settled();
    expect(payloads).toEqual(['first', 'second']);
  });

  it('names the slow part when it drops: the loading of rows or the schema', async () => {
    const loading = defer<DecodedText>();
    const { definition, asked } = createSchema();
    const { accept, events } = createStream(definition, { decoder: () => loading.promise, maxSize: 1 });
    accept('1', '2', '3');
    loading.resolve({ payload: {}, context: {} });
    await settled();
    accept('4');

    const receivers = ['the loading of its rows', 'the schema of the channel'];
    expect(events).toEqual(
      receivers.map((receiver, n) => ({ type: 'dropped', channel: 'orders', receiver, total: n + 1 })),
    );
    asked[0]?.resolve({ value: 'first' });
    await settled();
  });

  it.each([
    ['throws', () => { throw new Error('no such column'); }],
    ['rejects', () => Promise.reject(new Error('no such column'))],
  ])('reports a decoder that %s, and passes on the next text', async (_how, fail) => {
    const decoder: TextDecoder = (text) => (text === 'bad' ? fail() : { payload: text, context: {} });
    const { accept, payloads, events } = createStream(defineChannel('orders'), { decoder });
    accept('bad', 'good');
    await settled();

    expect(payloads).toEqual(['good']);
    expect(events).toEqual([rejected(/no such column/)]);
  }); // prettier-ignore
});
