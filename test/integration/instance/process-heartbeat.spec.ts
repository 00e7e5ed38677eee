import { Listener, defineChannel } from 'nestjs-pgpubsub';
import { afterEach, describe, expect, it } from 'vitest';
import { collector } from '../../support/listeners.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { useStored } from '../../support/stored.js';

const { start, query, deadLetters } = useStored();
afterEach(() =>
  query('truncate pgpubsub_notification, pgpubsub_dead_letter, pgpubsub_channel, pgpubsub_process, effect'),
);

const Orders = defineChannel<number>('orders', { delivery: 'exactly-once' });
const News = defineChannel<string>('news');

describe('the row of a process', () => {
  const rows = () =>
    query<{ application: string; host: string; library_version: string; listeners: unknown }>(
      'select application, host, library_version, listeners from pgpubsub_process',
    );

  it('contains application and listeners while the process runs, and is deleted at its end', async () => {
    const { provider } = collector(Orders, { name: 'Orders.receive' });
    const app = await start({ providers: [provider], dataSource: { applicationName: 'shop' } });
    await eventually(async () => (await rows()).length === 1, 'the process is recorded');
    expect(await rows()).toEqual([
      {
        application: 'shop',
        host: expect.any(String) as string,
        library_version: expect.any(String) as string,
        listeners: { orders: ['Orders.receive'] },
      },
    ]);
    await app.close();
    expect(await rows()).toEqual([]);
  });

  it('is not written by a process without exactly-once channels', async () => {
    await using app = await start({ providers: [collector(News).provider] });
    await app.pubsub.status();
    expect(await rows()).toEqual([]);
  });

  it('is deleted by another process a minute after a crash', async () => {
    await query(
      `insert into pgpubsub_process (instance, seen_at) values ('dead', now() - interval '2 minutes')`,
    );
    await query(`insert into pgpubsub_process (instance, seen_at) values ('alive', now())`);
    await using _app = await start({ providers: [collector(Orders).provider] });
    const instances = async () =>
      (await query<{ instance: string }>('select instance from pgpubsub_process')).map(
        ({ instance }) => instance,
      );
    await eventually(async () => !(await instances()).includes('dead'), 'the old row is gone');
    expect(await instances()).toContain('alive');
  });

  it('is optional: a process without the right to write it handles notifications and learns of pauses', async () => {
    await query(`create function pg_temp_refuse() returns trigger language plpgsql as
      $$ begin raise insufficient_privilege using message = 'not yours'; end $$`);
    await query(`create trigger refuse before insert on pgpubsub_process
      for each row execute function pg_temp_refuse()`);
    try {
      const { provider, received } = collector(Orders);
      await using app = await start({ providers: [provider] });
      await app.log.find(({ text }) =>
        text.includes('Could not write the row of this process into pgpubsub_process: not yours'),
      );
      await app.pubsub.notify(Orders, 1);
      expect((await received.next()).payload).toBe(1);
      const pauses = new Mailbox<readonly string[]>();
      app.pubsub.events$.subscribe((event) => event.type === 'pauses-changed' && pauses.push(event.channels));
      await app.pubsub.pause([Orders], { everywhere: true });
      expect(await pauses.next()).toEqual(['orders']);
    } finally {
      await query('drop function pg_temp_refuse cascade');
    }
  });
});

it('a process deletes dead letters that are older than their channel keeps them', async () => {
  const Kept = defineChannel<number>('kept', { delivery: 'exactly-once', deadLetters: { keepMs: false } });
  class Listeners {
    @Listener(Orders)
    onOrder() {}

    @Listener(Kept)
    onKept() {}
  }
  for (const channel of ['orders', 'kept'])
    await query(
      `insert into pgpubsub_dead_letter (id, listener, channel, died_at)
       select age, 'Orders.receive', $1, clock_timestamp() - age * interval '1 hour' from unnest('{1,3}'::int[]) as age`,
      [channel],
    );
  await using _app = await start({
    providers: [Listeners],
    options: { deadLetters: { keepMs: 2 * 3_600_000 } },
  });
  const idsOf = async (channel: typeof Orders) => (await deadLetters(channel)).map(({ id }) => id);
  await eventually(async () => (await deadLetters(Orders)).length < 2, 'the old letter is deleted');
  expect(await idsOf(Orders)).toEqual(['1']);
  expect(await idsOf(Kept)).toEqual(['1', '3']);
});
