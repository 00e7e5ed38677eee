import { Injectable } from '@nestjs/common';
import { Listener, NonRetryableError, defineChannel, type Notification } from 'nestjs-pgpubsub';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { range, useStored } from '../../support/stored.js';

const { start, query, deadLetters, settled, waiting, effects } = useStored();
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect'));

const Orders = defineChannel<unknown>('orders', { delivery: 'exactly-once', retry: { maxAttempts: 3 } });

describe('several listeners of a channel', () => {
  it('succeed and are retried independently, each with its own options', async () => {
    const calls = new Mailbox<string>();
    @Injectable()
    class Listeners {
      @Listener(Orders)
      always(payload: number, { attempt }: Notification) {
        calls.push(`always ${payload} ${attempt}`);
        throw new Error(`always ${payload}`);
      }
      @Listener(Orders, { retry: { maxAttempts: 5 } })
      longer(payload: number, { attempt }: Notification) {
        calls.push(`longer ${payload} ${attempt}`);
        if (attempt < 5) throw new Error('not yet');
      }
      @Listener(Orders, { name: 'never fails' })
      never(payload: number, { manager }: Notification) {
        calls.push(`never ${payload}`);
        return manager.query('insert into effect (what) values ($1)', [payload]);
      }
    }
    await using app = await start({ providers: [Listeners] });
    await app.pubsub.notifyMany(Orders, [1, 2]);
    await settled(Orders);
    const expected = [1, 2].flatMap((id) => [
      ...range(3).map((attempt) => `always ${id} ${attempt}`),
      ...range(5).map((attempt) => `longer ${id} ${attempt}`),
      `never ${id}`,
    ]);
    expect(calls.all.toSorted()).toEqual(expected.toSorted());
    expect(await effects()).toEqual(['1', '2']);
    const letters = await deadLetters(Orders);
    expect(letters.map(({ payload, listener, attempts }) => [payload, listener, attempts])).toEqual([
      [1, 'Listeners.always', 3],
      [2, 'Listeners.always', 3],
    ]);
    expect(letters[0]?.last_error).toMatch(/^Error: always 1\n\s+at .*listeners\.spec/);
  });

  it('record in the row which of them have handled it, and the last error, until the retry is due', async () => {
    const tried = new Mailbox<string>();
    @Injectable()
    class Listeners {
      @Listener(Orders, { retry: { minDelayMs: 1e9, maxDelayMs: 1e9 } })
      fails() {
        tried.push('fails');
        throw new Error('for\0 now');
      }
      @Listener(Orders)
      succeeds() {
        tried.push('succeeds');
      }
    }
    await using app = await start({ providers: [Listeners] });
    const before = Date.now();
    await app.pubsub.notify(Orders, 1);
    await app.log.find(({ text }) => /Listeners\.fails failed on channel .*, notification \d+, attempt 1; will retry in/.test(text)); // prettier-ignore
    await eventually(async () => (await waiting(Orders))[0]?.attempts === 1, 'the failure is committed');
    const [row] = await waiting(Orders);
    expect(row).toMatchObject({ attempts: 1, handled_by: ['Listeners.succeeds'], deaths: 0 });
    expect(row?.last_error).toMatch(/^Error: for now/);
    expect(row?.available_at.getTime()).toBeGreaterThanOrEqual(before);
    expect(row?.available_at.getTime()).toBeLessThanOrEqual(Date.now() + 1e9);
    expect(tried.all).toEqual(['fails', 'succeeds']);
  });

  it('wait for random times within bounds that double with each attempt', async () => {
    const delays = new Map<number, number[]>();
    @Injectable()
    class Listeners {
      @Listener(Orders, { retry: { maxAttempts: 4, minDelayMs: 40, maxDelayMs: 100 } })
      fails() {
        throw new Error('always');
      }
    }
    await using app = await start({ providers: [Listeners], options: { batch: { maxSize: 1 } } });
    const drawn = new Map<number, number[]>();
    app.pubsub.events$.subscribe((event) => {
      if (event.type !== 'stored-failed') return;
      drawn.set(event.attempt, [...(drawn.get(event.attempt) ?? []), event.delayMs ?? 0]);
    });
    await query(`create or replace function noted() returns trigger language plpgsql as
      $$ begin insert into effect (what) values (new.attempts || ' ' || extract(epoch from new.available_at - clock_timestamp()) * 1000); return null; end $$`);
    await query('create trigger noted after update on pgpubsub_notification for each row execute function noted()'); // prettier-ignore
    await app.pubsub.notifyMany(Orders, range(40));
    await settled(Orders);
    await query('drop function noted cascade');
    await eventually(() => drawn.get(4)?.length === 40, 'all has been given up'); // events follow the commit
    for (const what of await effects()) {
      const [attempt = 0, delay = 0] = what.split(' ').map(Number);
      delays.set(attempt, [...(delays.get(attempt) ?? []), delay]);
    }
    for (const [attempt, bound] of [
      [1, 40],
      [2, 80],
      [3, 100],
    ] as const) {
      // prettier-ignore
      const found = delays.get(attempt) ?? [];
      expect(found).toHaveLength(40);
      expect(Math.max(...found)).toBeLessThanOrEqual(bound);
      expect(Math.max(...(drawn.get(attempt) ?? []))).toBeGreaterThan(bound / 2); // full jitter: at least one of 40 is above the half
      expect(Math.min(...found)).toBeLessThan(bound / 2);
    }
  });

  it('need different names', async () => {
    @Injectable()
    class Listeners {
      @Listener(Orders, { name: 'same' })
      one() {}
      @Listener(Orders, { name: 'same' })
      two() {}
    }
    await expect(start({ providers: [Listeners] })).rejects.toMatchObject({
      code: 'INVALID_LISTENER',
      message: expect.stringContaining('two with "same"') as string,
    });
  });
});

describe('a dead letter', () => {
  it('is stored immediately after a NonRetryableError, with the contents of the notification', async () => {
    @Injectable()
    class Handler {
      @Listener(Orders)
      receive() {
        throw new NonRetryableError('hopeless');
      }
    }
    await using app = await start({ providers: [Handler] });
    await app.pubsub.notify(Orders, { id: 1 }, { context: { tenant: 'a' }, key: 'k' });
    await settled(Orders);
    expect(await deadLetters(Orders)).toMatchObject([
      { payload: { id: 1 }, context: { tenant: 'a' }, key: 'k', attempts: 1, listener: 'Handler.receive', last_error: expect.stringMatching(/^NonRetryableError: hopeless\n\s+at /) },
    ]); // prettier-ignore
    const line = await app.log.find(({ text }) => text.includes('moved to the dead letters'));
    expect(line.level).toBe('error');
  });

  it.each<[string, unknown, RegExp]>([
    ['undefined', undefined, /undefined/],
    ['a text', 'just text', /just text/],
    ['a very long text', new Error('x'.repeat(1_000_000)), /^Error: x{1000}/],
    ['half a surrogate pair', new Error('half \ud83d'), /^Error: half /],
  ])('contains the reason when %s was thrown', async (_, thrown, expected) => {
    @Injectable()
    class Handler {
      @Listener(Orders, { retry: { maxAttempts: 1 } })
      receive() {
        throw thrown;
      }
    }
    await using app = await start({ providers: [Handler] });
    await app.pubsub.notify(Orders, 1);
    await settled(Orders);
    const [letter] = await deadLetters(Orders);
    expect(letter?.last_error).toMatch(expected);
    expect(letter?.last_error?.length).toBeLessThanOrEqual(10_000);
  });

  it('is stored for each listener, without a call, when the schema rejects the payload or the codec cannot decode it', async () => {
    const Checked = defineChannel<{ at: Date }>('checked', {
      delivery: 'exactly-once',
      schema: z.object({ at: z.date() }),
      codec: {
        encode: ({ at }) => at.toISOString(),
        decode(json) {
          if (typeof json !== 'string') throw new TypeError('no text');
          return { at: new Date(json) };
        },
      },
    });
    const seen = new Mailbox<unknown>();
    @Injectable()
    class Listeners {
      @Listener(Checked)
      one(payload: unknown) {
        seen.push(payload);
      }
      @Listener(Checked, { batch: true })
      two(payloads: unknown) {
        seen.push(payloads);
      }
    }
    await using sender = await start({ channels: [Checked], options: { listen: false } });
    await query(`select pgpubsub_notify('checked', '17'), pgpubsub_notify('checked', '"no date"')`);
    const at = new Date();
    await sender.pubsub.notify(Checked, { at });
    await using _app = await start({ providers: [Listeners] });
    await settled(Checked);
    expect(seen.all).toEqual([[{ at }], { at }]);
    const letters = await deadLetters(Checked);
    expect(letters.map(({ payload, listener }) => `${String(payload)} ${listener}`).toSorted()).toEqual([
      '17 Listeners.one', '17 Listeners.two', 'no date Listeners.one', 'no date Listeners.two',
    ]); // prettier-ignore
    expect(letters.find(({ payload }) => payload === 17)?.last_error).toMatch(/codec can decode.*no text/);
    expect(letters.find(({ payload }) => payload !== 17)?.last_error).toMatch(/that the schema .* accepts/);
  });
});
