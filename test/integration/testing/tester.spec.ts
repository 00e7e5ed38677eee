import { Injectable } from '@nestjs/common';
import {
  Listener,
  NonRetryableError,
  PubSubService,
  defineChannel,
  type Notification,
} from 'nestjs-pgpubsub';
import { drain, pending } from 'nestjs-pgpubsub/testing';
import { describe, expect, it } from 'vitest';
import { Effect, range, useStored, type StartStored } from '../../support/stored.js';

const { start, database, query, effects, deadLetters } = useStored();

const stored = (name: string) => defineChannel<number>(name, { delivery: 'exactly-once' });
const Orders = stored('drain_orders');
const Mails = stored('drain_mails');

/** Starts an application that handles nothing until the test resumes it. */
async function startPaused(options: StartStored) {
  const app = await start(options);
  await app.pubsub.pause();
  await app.pubsub.recover(); // waits for the claim of the start
  return app;
}

@Injectable()
class Shop {
  constructor(private readonly pubsub: PubSubService) {}

  @Listener(Orders)
  async onOrder(id: number, { manager }: Notification) {
    await manager.insert(Effect, { what: `order ${id}` });
    await this.pubsub.notify(Mails, id, { manager });
  }

  @Listener(Mails)
  async onMail(id: number, { manager }: Notification) {
    await manager.insert(Effect, { what: `mail ${id}` });
    if (id > 0 && id < 100) await this.pubsub.notify(Orders, id + 100, { manager });
  }
}

describe('drain()', () => {
  it('handles stored notifications, and those that their handlers store for each other, while all channels are paused', async () => {
    await using app = await startPaused({ providers: [Shop] });
    const { pubsub } = app;
    await pubsub.notifyMany(Orders, range(3));

    await expect(drain(pubsub)).resolves.toEqual({ handled: 12, failed: 0 });

    await expect(pending(pubsub)).resolves.toEqual([]);
    expect((await effects('order')).toSorted()).toEqual(
      range(3)
        .flatMap((n) => [`order ${n}`, `order ${n + 100}`])
        .toSorted(),
    );
    expect(await effects('mail')).toHaveLength(6);
  });

  it('keeps the pauses of channels', async () => {
    await using app = await startPaused({ providers: [Shop] });
    const { pubsub } = app;
    await drain(pubsub);
    await pubsub.notify(Mails, 0);

    await expect(pubsub.recover()).resolves.toEqual({ handled: 0, failed: 0 });
    await expect(pending(pubsub, Mails)).resolves.toMatchObject([
      { channel: 'drain_mails', payload: 0, attempts: 0 },
    ]);
    await expect(drain(pubsub)).resolves.toEqual({ handled: 1, failed: 0 });
  });

  it('does not pause other channels', async () => {
    await using app = await start({ providers: [Shop] });
    const { pubsub } = app;
    await pubsub.notify(Mails, 0);
    await drain(pubsub);

    await expect(pending(pubsub)).resolves.toEqual([]);
    await pubsub.notify(Mails, 0);
    await expect(pubsub.recover()).resolves.toMatchObject({ failed: 0 });
    await expect(pending(pubsub)).resolves.toEqual([]);
  });

  it('counts failures, whose notifications wait for the next attempt or are dead', async () => {
    const Failing = stored('drain_failing');
    @Injectable()
    class Listeners {
      @Listener(Failing, { retry: { minDelayMs: 3_600_000, maxDelayMs: 3_600_000 } })
      on(id: number) {
        if (id === 1) throw new Error('not now');
        if (id === 2) throw new NonRetryableError('never');
      }
    }
    await using app = await startPaused({ providers: [Listeners] });
    const { pubsub } = app;
    await pubsub.notifyMany(Failing, range(3));

    await expect(drain(pubsub)).resolves.toEqual({ handled: 1, failed: 2 });

    await expect(pending(pubsub, Failing)).resolves.toMatchObject([
      { payload: 1, attempts: 1, lastError: expect.stringContaining('not now') as unknown },
    ]);
    await expect(deadLetters(Failing)).resolves.toMatchObject([{ payload: 2 }]);
    await pubsub.stored.purge({});
  });

  it('runs delayed notifications once with `withScheduled`', async () => {
    const Later = stored('drain_later');
    const seen: string[] = [];
    @Injectable()
    class Listeners {
      @Listener(Later, { retry: { minDelayMs: 3_600_000, maxDelayMs: 3_600_000 } })
      on(id: number, { attempt }: Notification) {
        seen.push(`${id}, attempt ${attempt}`);
        if (id === 1) throw new Error('not now');
      }
    }
    await using app = await startPaused({ providers: [Listeners] });
    const { pubsub } = app;
    await pubsub.notify(Later, 1);
    await pubsub.notify(Later, 2, { delayMs: 3_600_000 });

    await expect(drain(pubsub)).resolves.toEqual({ handled: 0, failed: 1 });
    await expect(drain(pubsub, { withScheduled: true })).resolves.toEqual({ handled: 1, failed: 1 });

    expect(seen.toSorted()).toEqual(['1, attempt 1', '1, attempt 2', '2, attempt 1']);
    await expect(pending(pubsub, Later)).resolves.toMatchObject([{ payload: 1, attempts: 2 }]);
    await pubsub.stored.purge({});
  });

  it('repeats only the listener that has failed', async () => {
    const Shared = stored('drain_shared');
    const seen: string[] = [];
    @Injectable()
    class Listeners {
      @Listener(Shared)
      good() {
        seen.push('good');
      }

      @Listener(Shared, { retry: { minDelayMs: 3_600_000, maxDelayMs: 3_600_000 } })
      bad() {
        seen.push('bad');
        if (seen.length < 3) throw new Error('not now');
      }
    }
    await using app = await startPaused({ providers: [Listeners] });
    await app.pubsub.notify(Shared, 1);

    await drain(app.pubsub);
    await expect(drain(app.pubsub, { withScheduled: true })).resolves.toEqual({ handled: 1, failed: 0 });

    expect(seen).toEqual(['good', 'bad', 'bad']);
  });

  it('handles only the given channels', async () => {
    const [First, Second] = [stored('drain_first'), stored('drain_second')];
    const seen: number[] = [];
    @Injectable()
    class Listeners {
      @Listener(First)
      @Listener(Second)
      on(id: number) {
        seen.push(id);
      }
    }
    await using app = await startPaused({ providers: [Listeners] });
    const { pubsub } = app;
    await pubsub.notify(First, 1);
    await pubsub.notify(Second, 2);

    await expect(drain(pubsub, { channels: [Second] })).resolves.toEqual({ handled: 1, failed: 0 });

    expect(seen).toEqual([2]);
    await expect(pending(pubsub)).resolves.toMatchObject([{ channel: 'drain_first' }]);
    await expect(drain(pubsub, { channels: ['orders'] })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await drain(pubsub);
  });

  it('rejects with the remaining notifications when its timeout is over', async () => {
    const Hanging = stored('drain_hanging');
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    @Injectable()
    class Listeners {
      @Listener(Hanging)
      on() {
        return released;
      }
    }
    await using app = await startPaused({ providers: [Listeners] });
    await app.pubsub.notifyMany(Hanging, range(2));

    await expect(drain(app.pubsub, { timeoutMs: 100 })).rejects.toMatchObject({
      code: 'TIMED_OUT',
      message: expect.stringContaining('2 due on "drain_hanging"') as unknown,
    });
    release();
    await drain(app.pubsub);
  });

  it('rejects with the error that prevents claims', async () => {
    await using app = await startPaused({ providers: [Shop] });
    await query('alter table pgpubsub_notification rename to away');

    await expect(drain(app.pubsub)).rejects.toThrow('"public.pgpubsub_notification" does not exist');

    await query('alter table away rename to pgpubsub_notification');
    await expect(drain(app.pubsub)).resolves.toEqual({ handled: 0, failed: 0 });
  });

  it('rejects unknown options', async () => {
    await using app = await start({ url: database.url });

    await expect(drain(app.pubsub, { timeout: 5 } as object)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

describe('pending()', () => {
  it('lists waiting notifications, oldest first, of one channel or of all', async () => {
    await using app = await start();
    await app.pubsub.notify(Orders, 1);
    await app.pubsub.notify(Mails, 2, { key: 'Ada', context: { tenant: 'a' } });

    const all = await pending(app.pubsub);

    expect(all.map(({ channel, payload }) => [channel, payload])).toEqual([
      ['drain_orders', 1],
      ['drain_mails', 2],
    ]);
    await expect(pending(app.pubsub, Mails)).resolves.toMatchObject([
      { key: 'Ada', context: { tenant: 'a' } },
    ]);
    await app.pubsub.stored.purge({});
  });
});
