import { Injectable } from '@nestjs/common';
import { Listener, defineChannel, type Notification, type NotificationBatch } from 'nestjs-pgpubsub';
import type { EntityManager } from 'typeorm';
import { afterEach, describe, expect, it } from 'vitest';
import { Mailbox } from '../../support/mailbox.js';
import { range, useStored, type StartStored } from '../../support/stored.js';

const { start, query, deadLetters, settled, effects } = useStored();
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect'));

const Orders = defineChannel<number>('orders', { delivery: 'exactly-once', retry: { maxAttempts: 2 } });

const write = (manager: EntityManager, what: string) =>
  manager.query('insert into effect (what) values ($1)', [what]);

/** Stores numbers before a process listens, so that they are claimed together. */
async function startWith(numbers: readonly number[], { options, ...rest }: StartStored) {
  await using sender = await start({ channels: [Orders], options: { listen: false } });
  await sender.pubsub.notifyMany(Orders, numbers);
  return start({ ...rest, options: { concurrency: 1, ...options } });
}

describe('a listener with { batch: true }', () => {
  it('gets all rows of a claim at once, in order, and writes in their transaction', async () => {
    const batches = new Mailbox<readonly number[]>();
    const seen = new Mailbox<NotificationBatch<number>>();
    @Injectable()
    class Batches {
      @Listener(Orders, { batch: true })
      async receive(payloads: number[], notifications: NotificationBatch<number>) {
        await write(notifications.manager, payloads.join());
        batches.push(payloads);
        seen.push(notifications);
      }
    }
    await using _app = await startWith(range(5), { providers: [Batches] });
    await settled(Orders);
    expect(batches.all).toEqual([range(5)]);
    const batch = await seen.next();
    expect(batch.map(({ payload, attempt }) => [payload, attempt])).toEqual(range(5).map((id) => [id, 1]));
    expect(new Set(batch.map(({ id }) => id)).size).toBe(5);
    expect(batch.signal.aborted).toBe(false);
    expect(await effects()).toEqual(['1,2,3,4,5']);
  });

  it('is called row by row after a failure, so that one bad row does not block the others', async () => {
    const calls: string[] = [];
    @Injectable()
    class Batches {
      @Listener(Orders, { batch: true })
      async receive(payloads: number[], { manager }: NotificationBatch<number>) {
        calls.push(payloads.join());
        for (const payload of payloads) await write(manager, String(payload));
        if (payloads.includes(2)) throw new Error('not 2');
      }
    }
    await using _app = await startWith([1, 2, 3], {
      providers: [Batches],
      options: { batch: { maxTimeMs: 60_000 } },
    });
    await settled(Orders);
    expect(calls).toEqual(['1,2,3', '1', '2', '3', '2']);
    expect(await effects()).toEqual(['1', '3']);
    const [letter] = await deadLetters(Orders);
    expect(letter).toMatchObject({ payload: 2, attempts: 2, listener: 'Batches.receive' });
    expect(letter?.last_error).toMatch(/^Error: not 2\n\s+at /);
  });

  it('keeps its writes when another listener of the claim fails', async () => {
    @Injectable()
    class Listeners {
      @Listener(Orders, { batch: true })
      batch(payloads: number[], { manager }: NotificationBatch<number>) {
        return write(manager, `batch ${payloads.join()}`);
      }
      @Listener(Orders, { concurrency: 5 })
      interleaved() {
        throw new Error('never');
      }
      @Listener(Orders)
      inTurn() {
        throw new Error('never');
      }
    }
    await using _app = await startWith(range(3), { providers: [Listeners] });
    await settled(Orders);
    expect(await effects()).toEqual(['batch 1,2,3']);
    expect(await deadLetters(Orders)).toHaveLength(6);
  });

  it('does not delay the rows that other listeners had no time for', async () => {
    @Injectable()
    class Listeners {
      @Listener(Orders, { batch: true })
      batch(payloads: number[], { manager }: NotificationBatch<number>) {
        return write(manager, `batch ${payloads.join()}`);
      }
      @Listener(Orders)
      async inTurn(payload: number, { manager }: Notification) {
        await manager.query('select pg_sleep(0.02)');
        await write(manager, `turn ${payload}`);
      }
    }
    await using _app = await startWith(range(3), { providers: [Listeners], options: { batch: { maxTimeMs: 30 } } }); // prettier-ignore
    await settled(Orders);
    expect(await effects('turn')).toEqual(['turn 1', 'turn 2', 'turn 3']);
    const batched = (await effects('batch')).flatMap((what) => what.slice('batch '.length).split(','));
    expect(batched.toSorted()).toEqual(['1', '2', '3']);
  });
});

describe('a listener with { concurrency }', () => {
  it('runs up to that number of handlers of a claim in parallel', async () => {
    const running = new Set<number>();
    let most = 0;
    @Injectable()
    class Interleaved {
      @Listener(Orders, { concurrency: 3 })
      async receive(payload: number, { manager }: Notification) {
        running.add(payload);
        most = Math.max(most, running.size);
        await write(manager, `a ${payload}`);
        await write(manager, `b ${payload}`);
        running.delete(payload);
      }
    }
    await using _app = await startWith(range(9), { providers: [Interleaved] });
    await settled(Orders);
    expect(most).toBe(3);
    expect((await effects()).slice(0, 4)).toEqual(['a 1', 'a 2', 'a 3', expect.stringMatching(/^b/)]);
    expect((await effects()).toSorted()).toEqual([...range(9).map((id) => `a ${id}`), ...range(9).map((id) => `b ${id}`)]); // prettier-ignore
  });

  it('is undone and runs one row after the other when one fails', async () => {
    const calls: string[] = [];
    let running = 0;
    @Injectable()
    class Interleaved {
      @Listener(Orders, { concurrency: 10 })
      async receive(payload: number, { manager, attempt }: Notification) {
        calls.push(`${payload} attempt ${attempt} beside ${running++}`);
        await write(manager, String(payload)).finally(() => running--);
        if (payload === 2) throw new Error('not 2');
      }
    }
    await using _app = await startWith([1, 2, 3], { providers: [Interleaved] });
    await settled(Orders);
    expect(await effects()).toEqual(['1', '3']);
    expect(calls).toEqual([
      '1 attempt 1 beside 0', '2 attempt 1 beside 1', '3 attempt 1 beside 2',
      '1 attempt 1 beside 0', '2 attempt 1 beside 0', '3 attempt 1 beside 0',
      '2 attempt 2 beside 0',
    ]); // prettier-ignore
    expect(await deadLetters(Orders)).toHaveLength(1);
  });

  it('keeps the writes of another listener that has succeeded', async () => {
    @Injectable()
    class Interleaved {
      @Listener(Orders, { concurrency: 5 })
      first(payload: number, { manager }: Notification) {
        return write(manager, String(payload));
      }
      @Listener(Orders, { concurrency: 5 })
      second() {
        throw new Error('never');
      }
    }
    await using _app = await startWith([1, 2], { providers: [Interleaved] });
    await settled(Orders);
    expect((await effects()).toSorted()).toEqual(['1', '2']);
  });

  it('cannot nest transactions while handlers run in parallel', async () => {
    const errors = new Mailbox<string>();
    @Injectable()
    class Interleaved {
      @Listener(Orders, { concurrency: 2 })
      async receive(payload: number, { manager }: Notification) {
        await manager
          .transaction((inner) => write(inner, 'nested'))
          .catch((error: Error) => errors.push(error.message));
        await write(manager, String(payload));
      }
    }
    await using _app = await startWith([1, 2], { providers: [Interleaved] });
    await settled(Orders);
    expect(errors.all).toHaveLength(2);
    expect(errors.all[0]).toMatch(/not to nest transactions.*share a savepoint/);
    expect((await effects()).toSorted()).toEqual(['1', '2']);
  });

  it('fails the row whose handler swallowed an SQL error, and no other', async () => {
    @Injectable()
    class Interleaved {
      @Listener(Orders, { concurrency: 3 })
      async receive(payload: number, { manager }: Notification) {
        await write(manager, String(payload));
        if (payload === 2) await manager.query('select 1 / 0').catch(() => undefined);
      }
    }
    await using _app = await startWith([1, 2, 3], { providers: [Interleaved] });
    await settled(Orders);
    expect((await effects()).toSorted()).toEqual(['1', '3']);
    const letters = await deadLetters(Orders);
    expect(letters).toMatchObject([{ payload: 2, last_error: expect.stringMatching(/division by zero/) }]);
  });
});

describe('a claim', () => {
  it('ends when maxTimeMs is over and the running handler has finished; other claims handle the remaining rows', async () => {
    const txids = new Mailbox<string>();
    @Injectable()
    class Slow {
      @Listener(Orders)
      async receive(payload: number, { manager }: Notification) {
        const sql = 'select txid_current()::text as txid, pg_sleep(0.03)';
        const [row] = await manager.query<{ txid: string }[]>(sql);
        txids.push(String(row?.txid));
        await write(manager, String(payload));
      }
    }
    await using _app = await startWith(range(6), {
      providers: [Slow],
      options: { batch: { maxTimeMs: 50 } },
    });
    await settled(Orders);
    expect((await effects()).map(Number).toSorted((a, b) => a - b)).toEqual(range(6));
    expect(new Set(txids.all).size).toBeGreaterThanOrEqual(3);
    expect(txids.all).toHaveLength(6);
  });

  it('takes at most maxSize rows, and later claims take the rest of a backlog', async () => {
    const sizes = new Mailbox<number>();
    @Injectable()
    class Batches {
      @Listener(Orders, { batch: true })
      receive(payloads: number[]) {
        sizes.push(payloads.length);
      }
    }
    await using _app = await startWith(range(5_000), { providers: [Batches], options: { batch: { maxSize: 500 } } }); // prettier-ignore
    await settled(Orders);
    expect(sizes.all.reduce((sum, size) => sum + size, 0)).toBe(5_000);
    expect(Math.max(...sizes.all)).toBe(500);
  });

  it('reads payloads that are too large for a claim one at a time', async () => {
    const received: number[] = [];
    const Texts = defineChannel<string>('texts', { delivery: 'exactly-once' });
    @Injectable()
    class Large {
      @Listener(Texts)
      receive(payload: string) {
        received.push(payload.length);
      }
    }
    await using app = await start({ providers: [Large], options: { concurrency: 1 } });
    const random = Array.from({ length: 20_000 }, () => Math.random().toString(36).slice(2)).join('');
    const texts = ['small', random, 'x'.repeat(20_000_000), 'small again'];
    await app.pubsub.notifyMany(Texts, texts);
    await settled(Texts);
    expect(received).toEqual(texts.map(({ length }) => length));
  });
});
