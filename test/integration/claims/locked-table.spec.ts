import { defineChannel, type PubSubEvent } from 'nestjs-pgpubsub';
import { expect, it } from 'vitest';
import { committed, handled, recordRuns, store, uncounted } from '../../support/claims-behind-proxy.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { range, useStored } from '../../support/stored.js';

const stored = useStored();
const ROWS = 3;
const ROUNDS = 2;
const CONCURRENCY = 2;

const channels = ['first', 'second'].map((name) =>
  defineChannel<number>(name, { delivery: 'exactly-once', retry: { maxAttempts: 3 } }),
);

/** The number of sessions that wait for a lock. */
const WAITING = `select count(*)::int as n from pg_stat_activity
  where datname = current_database() and wait_event_type = 'Lock'`;

it('claims that wait for a locked table fail, are cancelled on the server, and succeed after the lock is released', async () => {
  const recorders = channels.map((channel) => recordRuns(channel));
  const providers = recorders.map(({ provider }) => provider);
  await using app = await stored.start({ providers, options: { concurrency: CONCURRENCY } });
  const events = new Mailbox<PubSubEvent>();
  app.pubsub.events$.subscribe(events.push);
  const locker = await stored.database.client();
  const watcher = await stored.database.client();
  const waiting = async () => (await watcher.query<{ n: number }>(WAITING)).rows[0]?.n ?? 0;
  await locker.query('begin; lock table pgpubsub_notification in access exclusive mode');

  for (const { name } of channels) await watcher.query('select pg_notify($1, $2)', ['pgpubsub', name]);
  const failures = ({ name }: { name: string }) =>
    events.all.filter((event) => event.type === 'claim-failed' && event.channel === name);
  await eventually(
    () => channels.every((channel) => failures(channel).length >= ROUNDS),
    'the claims of both channels have failed twice',
  );
  await eventually(async () => (await waiting()) === CONCURRENCY, 'nothing but the next claims waits');
  for (const channel of channels)
    expect(failures(channel).at(-1)).toMatchObject({
      error: { code: 'TIMED_OUT', message: expect.stringContaining('to answer a claim within 10000 ms') },
    });

  const status = await app.pubsub.status();
  expect(status.health).toBe('degraded');
  for (const { name } of channels)
    expect(status.reasons).toContainEqual(expect.stringMatching(new RegExp(`"${name}".*no answer`)));

  await locker.query('commit');
  for (const [index, channel] of channels.entries()) {
    await store(stored, channel, ROWS);
    await handled(stored, channel);
    expect(recorders[index]?.runs.all).toEqual(range(ROWS).map(uncounted));
    expect(await committed(stored, channel)).toEqual(range(ROWS));
  }
  await eventually(async () => (await app.pubsub.status()).health === 'up', 'the status is up');
  expect(await waiting()).toBe(0);
});
