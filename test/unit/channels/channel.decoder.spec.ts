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
    ['text that is no JSON', 'hello', 'hello'],
    ['a JSON string with its quotes', '"hello"', '"hello"'],
    ['an object as it was written', `{ "id" : ${LARGE}.10 }`, `{ "id" : ${LARGE}.10 }`],
    ['a payload that names the mark of envelopes', '["pgpubsub"]', '["pgpubsub"]'],
  ])('gets %s', (_what, text, input) => {
    expect(decoder.decode(text)).toEqual({ payload: input, context: {} });
    expect(decoder.decodeStored(text)).toBe(input);
  });

  it('gets the payload of an envelope as it was written, and the context beside it', () => {
    const text = `{"pgpubsub": 1, "payload": {"id": ${LARGE}, "context": {}}, "context": {"tenant": "a"}}`;

    expect(decoder.decode(text)).toEqual({
      payload: `{"id": ${LARGE}, "context": {}}`,
      context: { tenant: 'a' },
    });
  });

  it('gets an empty text where there is no payload', () => {
    expect(decoder.decode('')).toEqual({ payload: '', context: {} });
    expect(decoder.decode('{"pgpubsub":1,"context":{}}')).toEqual({ payload: '', context: {} });
    expect(decoder.decodeStored(null)).toBe('');
  });
});

describe('ChannelDecoder.decodeStored()', () => {
  it('takes a payload that looks like an envelope for a payload', () => {
    const json = '{"pgpubsub":1,"context":{"tenant":"a"},"payload":1}';

    expect(new ChannelDecoder(defineChannel('orders')).decodeStored(json)).toEqual(JSON.parse(json));
  });

  it('decodes with the codec, then validates', () => {
    const definition = defineChannel<bigint>('orders', {
      codec: { encode: String, decode: BigInt },
      schema: z.bigint().max(5n),
    });

    expect(new ChannelDecoder(definition).decodeStored('"5"')).toBe(5n);
    expect(() => new ChannelDecoder(definition).decodeStored('"6"')).toThrow(/schema of channel "orders"/);
  });

  it.each([
    ['at once', (text: string) => ({ payload: Number(text), context: {} })],
    ['later', (text: string) => Promise.resolve({ payload: Number(text), context: {} })],
  ])('validates what the decoder of an entity returns %s', async (_when, ofEntity) => {
    const decoder = new ChannelDecoder(
      defineChannel('orders', { schema: z.number().transform(String) }),
      ofEntity,
    );

    expect(await decoder.decodeStored('7')).toBe('7');
  });
});

describe('RegisteredChannel', () => {
  it('decodes as the definition says that became known later', () => {
    const channel = new RegisteredChannel(defineChannel('orders'), false);
    expect(channel.decoder.decode('"7"')).toMatchObject({ payload: '7' });

    channel.define(defineChannel<number>('orders', { codec: { encode: String, decode: Number } }));
    expect(channel.decoder.decode('"7"')).toMatchObject({ payload: 7 });
    expect(channel.isDefined).toBe(true);
  });

  it('decodes as the entities say that became known later, also when it is defined afterwards', () => {
    const channel = new RegisteredChannel(defineChannel('orders'), false);
    channel.useEntities((text) => ({ payload: `row ${text}`, context: {} }));
    channel.define(defineChannel<number>('orders', { codec: { encode: String, decode: Number } }));

    expect(channel.decoder.decode('7')).toMatchObject({ payload: 'row 7' });
  });
});
