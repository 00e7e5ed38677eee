import { createHmac, timingSafeEqual } from 'node:crypto';
import { defineChannel, type PayloadCodec } from 'nestjs-pgpubsub';

/** The code of docs/guides/who-may-send.md. */

interface Signed {
  readonly text: string;
  readonly mac: string;
}

/** Only processes that know the secret can send what `decode` accepts. */
export function signed<T>(channel: string, secret: string): PayloadCodec<T> {
  const sign = (text: string) =>
    createHmac('sha256', secret).update(`${channel}\n${text}`).digest();
  return {
    encode(payload) {
      const text = JSON.stringify(payload);
      return { text, mac: sign(text).toString('hex') };
    },
    decode(json: Signed) {
      const mac = Buffer.from(json.mac, 'hex');
      const expected = sign(json.text);
      const isValid =
        mac.length === expected.length && timingSafeEqual(mac, expected);
      if (!isValid) throw new Error('wrong signature');
      return JSON.parse(json.text) as T;
    },
  };
}

export const CacheCleared = defineChannel<{ tenant: string; sentAt: number }>(
  'cache_cleared',
  {
    codec: signed(
      'cache_cleared',
      process.env['PUBSUB_SECRET'] ?? 'for tests only',
    ),
  },
);
