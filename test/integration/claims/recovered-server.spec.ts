import { defineChannel } from 'nestjs-pgpubsub';
import { afterEach, expect, it } from 'vitest';
import { collector } from '../../support/listeners.js';
import { Mailbox } from '../../support/mailbox.js';
import { useStored } from '../../support/stored.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

const { start, database, query, settled } = useStored();
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect'));

const Orders = defineChannel<number>('orders', { delivery: 'exactly-once' });

/** The LISTEN connection waits up to an hour before it reopens. */
const PATIENT = { reconnect: { minDelayMs: 3_600_000, maxDelayMs: 3_600_000 } };

it.each(['a claim', 'notify()'])(
  'the LISTEN connection opens as soon as %s has reached the server again, without waiting for the end of its pause',
  async (success) => {
    await using proxy = await TcpProxy.start(database.url);
    const { provider } = collector(Orders);
    await using app = await start({
      url: proxy.url,
      providers: [provider],
      options: {
        ...PATIENT,
        poll: { intervalMs: 600_000, deafIntervalMs: success === 'a claim' ? 50 : 600_000 },
      },
    });
    const states = new Mailbox<string>();
    app.pubsub.connection$.subscribe(states.push);
    await states.find((state) => state === 'listening');
    proxy.cut();
    await states.find((state) => state === 'reconnecting');
    if (success === 'a claim') await app.log.find(({ text }) => text.startsWith('Claim on channel'));
    else await expect(app.pubsub.notify(Orders, 1)).rejects.toThrow();
    proxy.restore();
    if (success === 'notify()') await app.pubsub.notify(Orders, 2);
    else await query(`select pgpubsub_notify('orders', '3')`);
    states.all.splice(0);
    await states.find((state) => state === 'listening');
    await settled(Orders);
  },
);
