import { Injectable } from '@nestjs/common';
import { Listener, defineChannel, type Notification } from 'nestjs-pgpubsub';
import { afterEach, expect, it } from 'vitest';
import { Mailbox } from '../../support/mailbox.js';
import { useStored } from '../../support/stored.js';

const { start, query } = useStored();
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter'));

const codec = { input: 'text', encode: Number, decode: BigInt as (text: string) => bigint } as const;
const LARGE = 12345678901234567890n;

it('a broadcast channel gives its codec every digit of a number, with and without a context', async () => {
  const Amounts = defineChannel<bigint>('amounts', { codec });
  await using app = await start({});
  const received = new Mailbox<Notification<bigint>>();
  const subscription = app.pubsub.observe(Amounts).subscribe(received.push);
  await app.pubsub.notify(Amounts, 1n); // resolves when LISTEN is in force
  await query(`select pg_notify('amounts', '${LARGE}')`);
  await query(
    `select pg_notify('amounts', '{"pgpubsub": 1, "context": {"tenant": "a"}, "payload": ${LARGE}}')`,
  );

  const notifications = await received.take(3);
  expect(notifications.slice(1).map(({ payload, context }) => [payload, context])).toEqual([
    [LARGE, {}],
    [LARGE, { tenant: 'a' }],
  ]);
  subscription.unsubscribe();
});

it('an exactly-once channel gives its codec every digit of a number', async () => {
  const Amounts = defineChannel<bigint>('stored_amounts', { codec, delivery: 'exactly-once' });
  const received = new Mailbox<bigint>();
  @Injectable()
  class Handler {
    @Listener(Amounts)
    receive(amount: bigint) {
      received.push(amount);
    }
  }
  await using _app = await start({ providers: [Handler] });
  await query(`select pgpubsub_notify('stored_amounts', '${LARGE}'::json)`);

  expect(await received.next()).toBe(LARGE);
});
