import { describe, expect, it } from 'vitest';
import { PgPubSubError } from '../../../lib/common/errors.js';
import type { Delivered } from '../../../lib/channels/notification.js';
import { broadcast } from '../support/recording.js';
import { measured, storedBatch, storedNotification } from '../support/telemetry.js';

const by = { channel: 'orders', listener: 'shipping' };
const shipping = {
  'messaging.system': 'postgresql',
  'messaging.destination.name': 'orders',
  'messaging.consumer.group.name': 'shipping',
};

describe('PubSubMetrics', () => {
  it('does not name a channel that is not in the code', async () => {
    const recorded = await measured((metrics) => {
      for (const channel of ['user-1', 'user-2']) metrics.record({ type: 'received', channel, count: 1 });
    });

    expect(recorded).toHaveLength(1);
    expect(recorded[0]?.attributes['messaging.destination.name']).toBe('_OTHER');
  });

  it('names an instance that has a name', async () => {
    const record = (instance: string) =>
      measured((metrics) => metrics.record({ type: 'reconnected', attempt: 1 }), { instance });

    expect(await record('default')).toMatchObject([{ attributes: { 'messaging.system': 'postgresql' } }]);
    expect((await record('reporting'))[0]?.attributes['pgpubsub.instance']).toBe('reporting');
  });

  it.each([
    [new PgPubSubError('PAYLOAD_REJECTED', 'no'), 'PAYLOAD_REJECTED'],
    [new RangeError('no'), 'RangeError'],
    [Object.assign(new Error('no'), { name: 'Order 42 failed', code: '42' }), 'Error'],
    ['no', '_OTHER'],
    [undefined, '_OTHER'],
  ])('names the type of %o without values that the application invents', async (error, type) => {
    const recorded = await measured((metrics) => metrics.record({ type: 'failed', ...by, error }));

    expect(recorded[0]?.attributes['error.type']).toBe(type);
  });

  it.each<[string, Delivered, string[]]>([
    ['a broadcast', broadcast(1), ['messaging.process.duration']],
    [
      'a stored notification',
      storedNotification(),
      ['messaging.process.duration', 'pgpubsub.notification.age'],
    ],
    ['a batch', storedBatch({}, {}), ['messaging.process.duration', 'pgpubsub.notification.age']],
  ])('records the duration of the handling of %s', async (_what, handled, names) => {
    let result: unknown;
    const recorded = await measured(async (metrics) => {
      result = await metrics.timed(by, () => Promise.resolve('done'))(handled);
    });

    expect(result).toBe('done');
    expect(recorded.map(({ name }) => name)).toEqual(names);
    for (const { attributes } of recorded) expect(attributes).toMatchObject(shipping);
  });

  it('records the age of handled notifications only', async () => {
    const error = new RangeError('no such order');
    const recorded = await measured(async (metrics) => {
      await expect(metrics.timed(by, () => Promise.reject(error))(storedNotification())).rejects.toBe(error);
    });

    expect(recorded.map(({ name }) => name)).toEqual(['messaging.process.duration']);
    expect(recorded[0]?.attributes).toMatchObject({ ...shipping, 'error.type': 'RangeError' });
  });
});
