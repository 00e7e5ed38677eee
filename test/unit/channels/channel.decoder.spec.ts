import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ChannelDecoder } from '../../../lib/channels/channel.decoder.js';
import { defineChannel } from '../../../lib/channels/channel.definition.js';
import { RegisteredChannel } from '../../../lib/channels/registered-channel.js';

const LARGE = '12345678901234567890';

describe('ChannelDecoder of a codec that takes text', () => {
  const codec = { input: 'text', encode: String, decode: (text: string) => text } as const;
  const decoder = new ChannelDecoder(defineChannel<string>('orders', { codec }));

  it.each([
    ['a number with all of its digits', LARGE, LARGE],
    ['text that is not JSON', 'hello', 'hello'],
    ['a JSON string with its quotes', '"hello"', '"hello"'],
    ['an object as it was written', `{ "id" : ${LARGE}.10 }`, `{ "id" : ${LARGE}.10 }`],
    ['a payload that names the mark of envelopes', '["pgpubsub"]', '["pgpubsub"]'],
  ])('passes on %s', (_what, text, input) => {
    expect(decoder.decode(text)).toEqual({ payload: input, context: {} });
    expect(decoder.decodeStored(text)).toBe(input);
  });

  it('passes on the payload of an envelope as it was written, with its context', () => {
    const text = `{"pgpubsub": 1, "payload": {"id": ${LARGE}, "context": {}}, "context": {"tenant": "a"}}`;

    expect(decoder.decode(text)).toEqual({
      payload: `{"id": ${LARGE}, "context": {}}`,
      context: { tenant: 'a' },
    });
  });

  it('passes on an empty text for a missing payload', () => {
    expect(decoder.decode('')).toEqual({ payload: '', context: {} });
    expect(decoder.decode('{"pgpubsub":1,"context":{}}')).toEqual({ payload: '', context: {} });
    expect(decoder.decodeStored(null)).toBe('');
  });
});

describe('ChannelDecoder.decodeStored()', () => {
  it('treats a payload that looks like an envelope as a payload', () => {
    const json = '{"pgpubsub":1,"context":{"tenant":"a"},"payload":1}';

    expect(new ChannelDecoder(defineChannel('orders')).decodeStored(json)).toEqual(JSON.parse(json));
  });

  it('decodes with the codec before it validates', () => {
    const definition = defineChannel<bigint>('orders', {
      codec: { encode: String, decode: BigInt },
      schema: z.bigint().max(5n),
    });

    expect(new ChannelDecoder(definition).decodeStored('"5"')).toBe(5n);
    expect(() => new ChannelDecoder(definition).decodeStored('"6"')).toThrow(/schema of channel "orders"/);
  });

  it.each([
    ['synchronously', (text: string) => ({ payload: Number(text), context: {} })],
    ['asynchronously', (text: string) => Promise.resolve({ payload: Number(text), context: {} })],
  ])('validates what the decoder of an entity returns %s', async (_when, ofEntity) => {
    const decoder = new ChannelDecoder(
      defineChannel('orders', { schema: z.number().transform(String) }),
      ofEntity,
    );

    expect(await decoder.decodeStored('7')).toBe('7');
  });
});

describe('RegisteredChannel', () => {
  it('decodes with a definition that became known later', () => {
    const channel = new RegisteredChannel(defineChannel('orders'), false);
    expect(channel.decoder.decode('"7"')).toMatchObject({ payload: '7' });

    channel.define(defineChannel<number>('orders', { codec: { encode: String, decode: Number } }));
    expect(channel.decoder.decode('"7"')).toMatchObject({ payload: 7 });
    expect(channel.isDefined).toBe(true);
  });

  it('decodes with entities that became known later, also when a definition follows', () => {
    const channel = new RegisteredChannel(defineChannel('orders'), false);
    channel.useEntities((text) => ({ payload: `row ${text}`, context: {} }));
    channel.define(defineChannel<number>('orders', { codec: { encode: String, decode: Number } }));

    expect(channel.decoder.decode('7')).toMatchObject({ payload: 'row 7' });
  });
});
