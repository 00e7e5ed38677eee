import { defineChannel, type PubSubEvent } from 'nestjs-pgpubsub';
import { describe, expect, it, vi } from 'vitest';
import {
  RECOVERY_MS,
  committed,
  fillPool,
  gate,
  handled,
  recordRuns,
  slowDown,
  startBehindProxy,
  store,
  uncounted,
} from '../../support/claims-behind-proxy.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { range, useStored } from '../../support/stored.js';

/**
 * The connections of the pool stop answering: TCP acknowledges what is sent, and nothing reaches
 * the server. New connections work. Each case has a channel, an application and a proxy of its own.
 * Most of the time they wait for limits of the library, so they run in parallel.
 */

vi.setConfig({ maxConcurrency: 20 });
const stored = useStored();
const ROWS = 3;

const channelOf = (name: string) => defineChannel<number>(name, { delivery: 'exactly-once' });

const BEGIN = 'begin isolation level read committed';
const COMPLETION = '; commit';
const LOOK = 'statement_timestamp() - $2';
const FREE = 'select from pgpubsub_notification where channel = $1 for update skip locked';

/**
 * Drops the answers to a claim that has locked its rows: the answer to its begin, or its commit.
 */
async function loseClaim(channel: ReturnType<typeof channelOf>, text: string) {
  const [first, second] = [recordRuns(channel), recordRuns(channel)];
  const claiming = await startBehindProxy(stored, { providers: [first.provider] });
  const message = claiming.proxy.hold(text);
  await store(stored, channel, ROWS);
  const held = await message;
  if (text === BEGIN) held.deliver();
  held.swallow();
  const areLocked = async () => (await stored.query(FREE, [channel.name])).length === 0;
  await eventually(areLocked, 'the rows are locked');
  return { first, second, claiming };
}

describe.concurrent('connections of the pool that no longer answer', () => {
  it.each([
    ['with the settings of pg-pool', {}],
    ['with connections that stay idle for a minute', { idleTimeoutMillis: 60_000 }],
  ])('are replaced when they were idle, %s', async (name, extra) => {
    const channel = channelOf(`idle ${name.length}`);
    const { provider, runs } = recordRuns(channel);
    const dataSource = { extra };
    await using claiming = await startBehindProxy(stored, { providers: [provider], dataSource });
    await fillPool(claiming.app, 5);

    claiming.proxy.swallow();
    await store(stored, channel, ROWS);
    await handled(stored, channel);

    expect(runs.all).toEqual(range(ROWS).map(uncounted));
    expect(await committed(stored, channel)).toEqual(range(ROWS));
  });

  it.each([
    ['the claim did not reach the server', 'begin-lost', false],
    ['the server has locked the rows for a claim', 'begin-answer-lost', true],
  ])('do not use an attempt when a claim is starting: %s', async (_what, name, isDelivered) => {
    const channel = channelOf(name);
    const { provider, runs } = recordRuns(channel);
    await using claiming = await startBehindProxy(stored, { providers: [provider] });
    const begin = claiming.proxy.hold(BEGIN);

    await store(stored, channel, ROWS);
    const held = await begin;
    if (isDelivered) held.deliver();
    held.swallow();
    await handled(stored, channel);

    expect(runs.all).toEqual(range(ROWS).map(uncounted));
    expect(await committed(stored, channel)).toEqual(range(ROWS));
  });

  it('undo a claim whose handlers run, without using an attempt', async () => {
    const channel = channelOf('handlers');
    const inHandler = gate();
    const { provider, runs } = recordRuns(channel, (payload) => payload === ROWS && inHandler.pass());
    await using claiming = await startBehindProxy(stored, { providers: [provider] });

    await store(stored, channel, ROWS);
    await inHandler.reached;
    claiming.proxy.swallow();
    inHandler.open();
    await handled(stored, channel);

    expect(runs.all.toSorted()).toEqual([1, 1, 2, 2, 3, 3].map(uncounted));
    expect(await committed(stored, channel)).toEqual(range(ROWS));
  });

  it('fail only the handler whose statement gets no answer, at its timeout', async () => {
    const channel = channelOf('statement');
    const { provider, runs } = recordRuns(
      channel,
      (payload, { manager }) => {
        if (payload !== 2) return undefined;
        claiming.proxy.swallow();
        return manager.query('select 1');
      },
      { timeoutMs: 2_000 },
    );
    await using claiming = await startBehindProxy(stored, { providers: [provider] });

    await store(stored, channel, ROWS);
    await handled(stored, channel);

    expect(runs.all.slice(0, 2)).toEqual([1, 2].map(uncounted));
    const again = [uncounted(1), uncounted(3), '2: attempt 2 (attempts 1, deaths 1)'];
    expect(runs.all.slice(2).toSorted()).toEqual(again.toSorted());
    expect(await committed(stored, channel)).toEqual(range(ROWS));
  });

  it('undo a claim whose handler fails, without using an attempt', async () => {
    const channel = channelOf('failing');
    const { provider, runs } = recordRuns(channel, (payload) => {
      if (payload !== ROWS) return;
      claiming.proxy.swallow();
      throw new Error('the savepoint is not undone');
    });
    await using claiming = await startBehindProxy(stored, { providers: [provider] });

    await store(stored, channel, ROWS);
    await handled(stored, channel);

    expect(runs.all.toSorted()).toEqual([1, 1, 2, 2, 3, 3].map(uncounted));
    expect(await committed(stored, channel)).toEqual(range(ROWS));
  });

  it('make the rows of a commit that did not reach the server run again, without using an attempt', async () => {
    const channel = channelOf('commit-lost');
    const { provider, runs } = recordRuns(channel);
    await using claiming = await startBehindProxy(stored, { providers: [provider] });
    const completion = claiming.proxy.hold(COMPLETION);

    await store(stored, channel, ROWS);
    (await completion).swallow();
    await handled(stored, channel);

    expect(runs.all).toEqual([...range(ROWS), ...range(ROWS)].map(uncounted));
    expect(await committed(stored, channel)).toEqual(range(ROWS));
  });

  it('do not repeat the rows of a commit whose answer is lost, and later rows are handled', async () => {
    const channel = channelOf('commit-answer-lost');
    const { provider, runs } = recordRuns(channel);
    await using claiming = await startBehindProxy(stored, { providers: [provider] });
    const completion = claiming.proxy.hold(COMPLETION);

    await store(stored, channel, ROWS);
    const held = await completion;
    held.deliver();
    held.swallow();
    await handled(stored, channel);
    await stored.query('select pgpubsub_notify($1, to_json(4))', [channel.name]);
    await handled(stored, channel);

    expect(runs.all).toEqual(range(ROWS + 1).map(uncounted));
    expect(await committed(stored, channel)).toEqual(range(ROWS + 1));
  });

  it('do not block the channel during a check for the next row', async () => {
    const channel = channelOf('look');
    const { provider, runs } = recordRuns(channel);
    await using claiming = await startBehindProxy(stored, { providers: [provider] });
    const look = claiming.proxy.hold(LOOK);

    await stored.query('select pgpubsub_notify($1, to_json(1))', [channel.name]);
    const held = await look;
    held.deliver();
    held.swallow();
    await stored.query('select pgpubsub_notify($1, to_json(2))', [channel.name]);
    await handled(stored, channel);

    expect(runs.all).toEqual(range(2).map(uncounted));
    expect(await committed(stored, channel)).toEqual(range(2));
  });

  it.each([
    ['whose begin was not answered', 'other-begin', BEGIN, []],
    ['whose commit was not answered', 'other-commit', COMPLETION, range(ROWS)],
  ])(
    'release the rows of a claim %s, without using an attempt in another process',
    async (_what, name, text, run) => {
      const channel = channelOf(name);
      const { first, second, claiming } = await loseClaim(channel, text);
      await using _claiming = claiming;
      await using other = await stored.start({ providers: [second.provider] });
      // the other process claims before the next message of this one
      void slowDown(claiming.proxy, () => other.pubsub.recover([channel]));
      await handled(stored, channel);

      const runs = [...first.runs.all, ...second.runs.all];
      expect(runs.toSorted()).toEqual([...run, ...range(ROWS)].map(uncounted).toSorted());
      expect(await committed(stored, channel)).toEqual(range(ROWS));
    },
  );

  it.each([
    ['whose begin was not answered', 'paused-begin', BEGIN],
    ['whose commit was not answered', 'paused-commit', COMPLETION],
  ])('release the rows of a claim %s, although the channel was paused', async (_what, name, text) => {
    const channel = channelOf(name);
    const { second, claiming } = await loseClaim(channel, text);
    await using _claiming = claiming;
    await claiming.app.pubsub.pause([channel]);
    await using _other = await stored.start({ providers: [second.provider] });
    await handled(stored, channel);
    expect(second.runs.all).toEqual(range(ROWS).map(uncounted));
    expect(await committed(stored, channel)).toEqual(range(ROWS));
  });

  it('appear in status() while claims get no answer, and leave the pool afterwards', async () => {
    const channel = channelOf('status');
    const { provider, runs } = recordRuns(channel);
    const dataSource = { poolSize: 2 };
    await using claiming = await startBehindProxy(stored, { providers: [provider], dataSource });
    const { app, proxy } = claiming;
    const failures = new Mailbox<PubSubEvent>();
    app.pubsub.events$.subscribe((event) => event.type === 'claim-failed' && failures.push(event));
    expect((await app.pubsub.status()).health).toBe('up');

    proxy.swallow({ andNew: true });
    await store(stored, channel, ROWS);
    expect(await failures.next()).toMatchObject({ error: { code: 'TIMED_OUT' } });
    const status = await app.pubsub.status();
    expect(status.health).not.toBe('up');
    expect(status.reasons).toContainEqual(expect.stringMatching(/"status".*no answer/));
    await failures.take(1); // the pool is full of silent connections
    proxy.restore();
    await handled(stored, channel);

    expect(runs.all).toEqual(range(ROWS).map(uncounted));
    await eventually(
      async () => (await app.pubsub.status()).health === 'up',
      'the status is up',
      RECOVERY_MS,
    );
  });
});
