import { describe, expect, it } from 'vitest';
import { defineChannel } from '../../../lib/channels/channel.definition.js';
import type { NotifyOptions } from '../../../lib/publishing/notify-options.js';
import { Publisher } from '../../../lib/publishing/publisher.js';
import { createStatements } from '../../../lib/publishing/statements.js';
import { recordEvents } from '../support/recording.js';

/** A publisher whose statements fail with this error, if there is one. */
function createPublisher(failure?: Error) {
  const { events, report } = recordEvents();
  const sent: string[] = [];
  const query = (sql: string) => {
    sent.push(sql);
    return failure ? Promise.reject(failure) : Promise.resolve([]);
  };
  const publisher = new Publisher({
    statements: createStatements(() => 'public'),
    pool: () => ({ query }),
    executor: undefined,
    contextOf: () => undefined,
    assertText: () => undefined,
    report,
  });
  return { publisher, sent, events, query };
}

const orders = defineChannel('orders');
const stored = defineChannel('stored', { delivery: 'exactly-once' });

const serverError = (code: string, message: string) =>
  Object.assign(new Error(message), { severity: 'ERROR', code });

describe('Publisher with options that are not an object', () => {
  const { query } = createPublisher();
  it.each([
    ['a function', () => undefined, 'a function'],
    ['null', null, 'null'],
    ['a text', 'orders', '"orders"'],
    ['an array', [], 'an array'],
    ['a manager', { query }, 'an object'],
  ])('rejects %s before anything is sent', async (_what, options: unknown, got) => {
    for (const channel of [orders, stored]) {
      const { publisher, sent } = createPublisher();

      await expect(publisher.publish(channel, [1], options as NotifyOptions)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(`got ${got}`) as string,
      });
      expect(sent).toEqual([]);
    }
  });
});

describe('Publisher without the tables of stored notifications', () => {
  const missing = serverError('42P01', 'relation "public.pgpubsub_notification" does not exist');

  it('rejects with STORAGE_MISSING and a remedy, and reports the same error', async () => {
    const { publisher, events } = createPublisher(missing);
    const expected = {
      code: 'STORAGE_MISSING',
      message: expect.stringMatching(/withPgPubSub\(dataSource, \{ channels \}\).*migration:run/) as string,
      cause: missing,
    };

    await expect(publisher.publish(stored, [1], {})).rejects.toMatchObject(expected);
    expect(events).toMatchObject([{ type: 'publish-failed', error: expected }]);
  });

  it.each([
    ['another missing table', serverError('42P01', 'relation "orders" does not exist')],
    ['a missing privilege', serverError('42501', 'permission denied for table pgpubsub_notification')],
    ['another source than the server', new Error('relation "pgpubsub_notification" does not exist')],
  ])('passes on the error of %s', async (_what, error) => {
    await expect(createPublisher(error).publisher.publish(stored, [1], {})).rejects.toBe(error);
  });
});
