import { Injectable } from '@nestjs/common';
import { Listener, defineChannel, type Notification, type NotificationBatch } from 'nestjs-pgpubsub';
import { afterEach, expect, it } from 'vitest';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { range, useStored, type StartStored } from '../../support/stored.js';

/** Payloads from 32 KB and contexts from 2 KB are read one by one when their turn comes. */

const { start, query, database, deadLetters, settled } = useStored();
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect'));

interface Step {
  readonly step: number;
  readonly text?: string;
}
const Orders = defineChannel<Step>('orders', { delivery: 'exactly-once', retry: { maxAttempts: 2 } });
const Keyed = defineChannel<Step>('keyed', { delivery: 'exactly-once', ordered: true });

const LARGE = 'x'.repeat(40_000);
/** Two large contexts and a small one, as JSON. */
const CONTEXTS = [{ note: 'y'.repeat(3_000) }, { note: 'small' }, { note: LARGE }];

/** Stores before a process listens, so that all rows are claimed together. */
async function startWith(store: string, rest: StartStored) {
  await query(store);
  return start({ ...rest, options: { concurrency: 1, ...rest.options } });
}

const insertSteps = (count: number) => `
  insert into pgpubsub_notification (channel, payload, context)
  select 'orders', json_build_object('step', n, 'text', repeat('x', case n % 2 when 0 then 40000 else 1 end)),
    (array['${CONTEXTS.map((context) => JSON.stringify(context)).join(`', '`)}'])[1 + n % 3]::jsonb
  from generate_series(1, ${count}) as n`;

const expected = (count: number) =>
  range(count).map((step) => [step, step % 2 === 0 ? 40_000 : 1, CONTEXTS[step % 3]]);

it.each([
  ['one after the other', {}],
  ['in a batch', { batch: true }],
  ['with handlers that interleave', { concurrency: 4 }],
])('large rows arrive complete, among small ones, %s', async (_, options) => {
  const seen: unknown[] = [];
  const see = ({ step, text = '' }: Step, { context }: Notification) =>
    seen.push([step, text.length, context]);
  @Injectable()
  class Handler {
    @Listener(Orders, options)
    receive(payload: Step | Step[], notification: Notification | NotificationBatch) {
      if (!Array.isArray(payload)) see(payload, notification as Notification);
      else payload.forEach((one, at) => see(one, (notification as NotificationBatch)[at] as Notification));
    }
  }
  await using _app = await startWith(insertSteps(12), { providers: [Handler] });
  await settled(Orders);
  expect(seen).toEqual(expected(12));
});

it('large rows arrive in several batches when they do not fit into memory together', async () => {
  const batches = new Mailbox<number>();
  @Injectable()
  class Batches {
    @Listener(Orders, { batch: true })
    receive(payloads: Step[]) {
      batches.push(payloads.length);
    }
  }
  const store = `insert into pgpubsub_notification (channel, payload)
    select 'orders', json_build_object('step', n, 'text', repeat('x', 3000000)) from generate_series(1, 10) as n`;
  await using _app = await startWith(store, { providers: [Batches] });
  await settled(Orders);
  expect(Math.max(...batches.all)).toBe(3);
  expect(batches.all.reduce((sum, length) => sum + length, 0)).toBe(10);
});

it('a large row becomes a dead letter when its context is not an object', async () => {
  @Injectable()
  class Handler {
    @Listener(Orders)
    receive() {
      throw new Error('called');
    }
  }
  const store = `insert into pgpubsub_notification (channel, payload, context)
    select 'orders', '{"step":1}', to_jsonb(repeat('x', 40000))`;
  await using _app = await startWith(store, { providers: [Handler] });
  await settled(Orders);
  const [letter] = await deadLetters(Orders);
  expect(letter?.last_error).toContain('expected the column "context" as this library writes it');
});

it('rows with large keys are handled in the order of their keys while the first keys are blocked', async () => {
  const seen = new Map<string, number[]>();
  @Injectable()
  class Handler {
    @Listener(Keyed)
    receive({ step }: Step, { context }: Notification) {
      const key = String(context['key']);
      seen.set(key, [...(seen.get(key) ?? []), step]);
    }
  }
  await query(`insert into pgpubsub_notification (channel, payload, context, key, available_at)
    select 'keyed', json_build_object('step', step), jsonb_build_object('key', k), repeat(chr(97 + k / 10) || k, 15000),
      case when k % 3 = 0 and step = 1 then 'infinity' else now() - interval '1 minute' end
    from generate_series(1, 3) as step cross join generate_series(1, 60) as k`);
  const other = await database.client(); // locks more keys than a claim takes
  await other.query('begin');
  await other.query(`select pg_advisory_xact_lock(hashtextextended('pgpubsub keyed ' || key, 0))
    from (select distinct key from pgpubsub_notification where key < 'c') as keys`);
  await using _app = await start({
    providers: [Handler],
    options: { concurrency: 1, batch: { maxSize: 5 } },
  });
  const free = range(60).filter((k) => k % 3 !== 0 && k >= 20);
  const isHandled = () => free.every((k) => seen.get(String(k))?.length === 3);
  await eventually(isHandled, 'the keys behind the blocked ones are handled');
  expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(free.map((k) => [k, [1, 2, 3]])));
  await other.end();
});
