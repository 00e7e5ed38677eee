import { Injectable } from '@nestjs/common';
import { Listener, defineChannel, type Notification } from 'nestjs-pgpubsub';
import { afterEach, it } from 'vitest';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { useStored } from '../../support/stored.js';

const { start, query, settled, waiting } = useStored();
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect'));

it.each([true, false])(
  'a retry is claimed as soon as it is due, while other claims of the process run (ordered: %s)',
  async (ordered) => {
    const Orders = defineChannel<string>('orders', { delivery: 'exactly-once', ordered });
    const runs = new Mailbox<string>();
    const releases: (() => void)[] = [];
    @Injectable()
    class Handler {
      @Listener(Orders, { retry: { maxAttempts: 5, minDelayMs: 1, maxDelayMs: 1 } })
      async receive(payload: string, { attempt }: Notification) {
        runs.push(`${payload} ${attempt}`);
        if (payload.startsWith('hold')) await new Promise<void>((resolve) => releases.push(resolve));
        if (payload === 'head' && attempt === 1) {
          // The failure is recorded while claims that started later are running.
          await app.pubsub.notify(Orders, 'hold 2', { key: 'b' });
          await runs.find((run) => run.startsWith('hold 2'));
          throw new Error('once');
        }
      }
    }
    const app = await start({ providers: [Handler], options: { concurrency: 4, batch: { maxTimeMs: 1 } } });
    try {
      await app.pubsub.notify(Orders, 'hold 1', { key: 'a' });
      await runs.find((run) => run.startsWith('hold 1'));
      await app.pubsub.notify(Orders, 'head', { key: 'k' });
      await app.pubsub.notify(Orders, 'behind', { key: 'k' });
      await runs.find((run) => run === 'head 2'); // the slow poll would come after 600 s
      await runs.find((run) => run.startsWith('behind'));
      releases.splice(0).forEach((release) => release());
      await settled(Orders);
    } finally {
      releases.splice(0).forEach((release) => release());
      await app.close();
    }
  },
);

it('the earliest retry is claimed in time, although later claims found later rows', async () => {
  const Orders = defineChannel<string>('orders', { delivery: 'exactly-once' });
  const runs = new Mailbox<string>();
  @Injectable()
  class Handler {
    @Listener(Orders, { retry: { maxAttempts: 2, minDelayMs: 400, maxDelayMs: 400 } })
    receive(payload: string, { attempt }: Notification) {
      runs.push(`${payload} ${attempt}`);
      if (payload === 'fails' && attempt === 1) throw new Error('once');
    }
  }
  await using app = await start({ providers: [Handler] });
  await app.pubsub.notify(Orders, 'fails');
  await runs.find((run) => run === 'fails 1');
  for (const payload of ['a', 'b', 'c']) await app.pubsub.notify(Orders, payload);
  await app.pubsub.notify(Orders, 'far', { delayMs: 3_600_000 });
  await runs.find((run) => run === 'fails 2');
  await eventually(async () => (await waiting(Orders)).length === 1, 'only the one of an hour is left');
});
