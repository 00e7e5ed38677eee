import { Injectable } from '@nestjs/common';
import { Listener, defineChannel, type Notification } from 'nestjs-pgpubsub';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DeadLetterPortions } from '../../lib/store/dead-letter-portions.js';
import { storageOf } from '../../lib/triggers/with-pg-pubsub.js';
import type { TestApp } from '../support/app.js';
import { Mailbox } from '../support/mailbox.js';
import { useStored } from '../support/stored.js';

/** Ids may come again: the sequence was restarted, or the table truncated with `restart identity`. */

const { start, query, settled, waiting } = useStored();
const Orders = defineChannel<string>('orders', { delivery: 'exactly-once' });

let isBroken = true;
const handled = new Mailbox<string>();

@Injectable()
class Handler {
  @Listener(Orders, { name: 'handler', retry: { maxAttempts: 1 } })
  handle(payload: string, { id }: Notification<string>) {
    if (isBroken) throw new Error(`no ${payload}`);
    handled.push(`${id} ${payload}`);
  }
}

beforeEach(() => {
  isBroken = true;
});
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter restart identity'));

const restart = () => query('alter table pgpubsub_notification alter column id restart with 1');

/** Stores a payload, and lets it become a dead letter with the id 1. */
async function bury(...payloads: string[]): Promise<void> {
  await using app = await start({ providers: [Handler] });
  for (const payload of payloads) {
    await restart();
    await app.pubsub.notify(Orders, payload);
    await settled(Orders);
  }
}

async function retryInPortions({ dataSource }: TestApp): Promise<number> {
  const options = { dataSource, storage: () => storageOf(dataSource), nameOf: () => Orders.name };
  const portions = await DeadLetterPortions.begin(options, {});
  let count = 0;
  for await (const portion of portions.retry()) count += portion;
  return count;
}

async function letters() {
  await using app = await start({ channels: [Orders], options: { listen: false } });
  const found: [string, unknown, string | undefined][] = [];
  for await (const { id, payload, lastError } of app.pubsub.stored.deadLetters())
    found.push([id, payload, lastError?.split('\n')[0]]);
  return found;
}

describe('dead letters of notifications with one id', () => {
  it('are letters of their own, each with its payload and its error', async () => {
    const large = `large ${'x'.repeat(100_000)}${Math.random()}`;
    await bury('first', 'second', large);
    expect(await letters()).toEqual([
      ['1', 'first', 'Error: no first'],
      ['1', 'second', 'Error: no second'],
      ['1', large, expect.stringContaining('Error: no large')],
    ]);
  });

  it.each<[string, (app: TestApp) => Promise<number>]>([
    ['at once', (app) => app.pubsub.stored.retry({})],
    ['in portions, as the command line does', retryInPortions],
  ])('are all handled after a retry %s', async (_name, retry) => {
    await bury('first', 'second', 'third');
    isBroken = false;
    await using app = await start({ providers: [Handler] });
    await query('alter table pgpubsub_notification alter column id restart with 100');
    expect(await retry(app)).toBe(3);
    const payloads = (await handled.take(3)).map((one) => String(one.split(' ')[1]));
    expect(payloads.toSorted()).toEqual(['first', 'second', 'third']);
    expect(await letters()).toEqual([]);
  });

  it('take no other notification along that waits under the id, when they are retried', async () => {
    await bury('dead');
    isBroken = false;
    await restart();
    await using sender = await start({ channels: [Orders], options: { listen: false } });
    await sender.pubsub.notify(Orders, 'waiting', { availableAt: new Date(Date.now() + 3_600_000) });
    await query('alter table pgpubsub_notification alter column id restart with 100');
    await using app = await start({ providers: [Handler] });
    expect(await app.pubsub.stored.retry({})).toBe(1);
    expect(await handled.next()).toBe('100 dead');
    expect(await waiting(Orders)).toMatchObject([{ id: '1', payload: 'waiting', listeners: null }]);
  });

  it('are not lost when there is no place for one: the retry is rejected', async () => {
    await bury('first', 'second');
    await restart();
    await using app = await start({ channels: [Orders], options: { listen: false } });
    await expect(app.pubsub.stored.retry({})).rejects.toThrow(/duplicate key|no place/);
    expect(await letters()).toHaveLength(2);
  });
});
