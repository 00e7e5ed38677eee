import { defineChannel } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { afterEach, describe, expect, it } from 'vitest';
import type { TestApp } from '../../support/app.js';
import { collector, payloadsOf } from '../../support/listeners.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { useStored } from '../../support/stored.js';

const { start, query, database, waiting } = useStored();
afterEach(() =>
  query('truncate pgpubsub_notification, pgpubsub_dead_letter, pgpubsub_channel, pgpubsub_process, effect'),
);

const Orders = defineChannel<number>('orders', { delivery: 'exactly-once' });
const News = defineChannel<string>('news');
const everywhere = { everywhere: true };

/** Creates a session of its own, and destroys the DataSource at the end. */
const disposable = (source: DataSource) => ({
  runner: source.createQueryRunner(),
  [Symbol.asyncDispose]: () => source.destroy(),
});

/** The channels that are paused everywhere, after each change that the application learns of. */
function pausesOf({ pubsub }: TestApp): Mailbox<readonly string[]> {
  const pauses = new Mailbox<readonly string[]>();
  pubsub.events$.subscribe((event) => event.type === 'pauses-changed' && pauses.push(event.channels));
  return pauses;
}

describe('pause() with everywhere', () => {
  it('stops the claims of all processes, including later ones, until resume() with everywhere', async () => {
    const first = collector(Orders);
    const second = collector(Orders);
    const late = collector(Orders);
    await using running = await start({ providers: [first.provider] });
    await using other = await start({ providers: [second.provider] });
    await Promise.all([running.pubsub.recover(), other.pubsub.recover()]);
    const [ofRunning, ofOther] = [pausesOf(running), pausesOf(other)];

    await running.pubsub.pause([Orders], everywhere);
    expect(await ofRunning.next()).toEqual(['orders']);
    expect(await ofOther.next()).toEqual(['orders']);
    await running.pubsub.notifyMany(Orders, [1, 2]);
    await using started = await start({ providers: [late.provider] });
    await started.log.find(({ text }) => text === 'Paused everywhere: channel orders');
    for (const { pubsub } of [running, other, started])
      expect(await pubsub.recover([Orders])).toEqual({ handled: 0, failed: 0 });
    expect(await waiting(Orders)).toHaveLength(2);

    await other.pubsub.resume([Orders], everywhere);
    await eventually(async () => (await waiting(Orders)).length === 0, 'the orders are handled');
    const handled = [first, second, late].flatMap(({ received }) => payloadsOf(received.all));
    expect(new Set(handled)).toEqual(new Set([1, 2]));
    expect(handled).toHaveLength(2);
  });

  it('applies to recover() right after the start, even when the first heartbeat takes long', async () => {
    await query(`insert into pgpubsub_channel (channel, paused) values ('orders', true)`);
    await query(`select pgpubsub_notify('orders', '1')`);
    await using locking = await new DataSource({ type: 'postgres', url: database.url })
      .initialize()
      .then(disposable);
    await locking.runner.startTransaction();
    await locking.runner.query('lock table pgpubsub_process in exclusive mode'); // the first heartbeat waits
    const { provider, received } = collector(Orders);
    await using app = await start({ providers: [provider] });
    expect(await app.pubsub.recover()).toEqual({ handled: 0, failed: 0 });
    expect(received.all).toEqual([]);
    await locking.runner.rollbackTransaction();
    await app.pubsub.resume(undefined, everywhere);
    await received.next();
  });

  it('arrives in spite of many forged hints', async () => {
    await using app = await start({ providers: [collector(Orders).provider] });
    await app.pubsub.recover();
    const pauses = pausesOf(app);
    for (let sent = 0; sent < 200; sent++) await query(`select pg_notify('pgpubsub', '')`);
    await app.pubsub.pause([Orders], everywhere);
    expect(await pauses.next()).toEqual(['orders']);
  });

  it('is shown by status(), apart from the pauses of this process', async () => {
    await using app = await start({ providers: [collector(Orders).provider] });
    await app.pubsub.recover();
    expect((await app.pubsub.status()).paused).toEqual({ here: [], everywhere: [] });
    await app.pubsub.pause();
    await app.pubsub.pause([Orders], everywhere);
    expect((await app.pubsub.status()).paused).toEqual({ here: ['orders'], everywhere: ['orders'] });
    await app.pubsub.resume(undefined, everywhere);
    expect((await app.pubsub.status()).paused).toEqual({ here: ['orders'], everywhere: [] });
    await app.pubsub.resume();
    expect((await app.pubsub.status()).paused).toEqual({ here: [], everywhere: [] });
  });

  it('does not end the pause of this process when it ends', async () => {
    const { provider, received } = collector(Orders);
    await using app = await start({ providers: [provider] });
    await app.pubsub.recover();
    await app.pubsub.pause([Orders]);
    await app.pubsub.pause([Orders], everywhere);
    await app.pubsub.resume([Orders], everywhere);
    await app.pubsub.notify(Orders, 1);
    expect(await app.pubsub.recover()).toEqual({ handled: 0, failed: 0 });
    await app.pubsub.resume([Orders]);
    expect((await received.next()).payload).toBe(1);
  });

  it('works in a process without a listener of the channel, by name', async () => {
    const { provider } = collector(Orders);
    await using listening = await start({ providers: [provider] });
    await listening.pubsub.recover();
    const pauses = pausesOf(listening);
    await using publishing = await start({ options: { listen: false } });
    await publishing.pubsub.pause(['orders'], everywhere);
    expect(await pauses.next()).toEqual(['orders']);
  });

  it('applies without a list to the exactly-once channels that the process knows', async () => {
    await using app = await start({ channels: [Orders, News] });
    await app.pubsub.pause(undefined, everywhere);
    expect((await app.pubsub.status()).paused.everywhere).toEqual(['orders']);
  });

  it('rejects broadcast channels and unknown options', async () => {
    await using app = await start({ channels: [News] });
    await expect(app.pubsub.pause([News], everywhere)).rejects.toThrow(
      'expected exactly-once channels to pause or resume everywhere, got the broadcast channel "news".',
    );
    await expect(app.pubsub.pause(undefined, everywhere)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(app.pubsub.resume([News], { everywere: true } as never)).rejects.toThrow(/"everywere"/);
  });
});
