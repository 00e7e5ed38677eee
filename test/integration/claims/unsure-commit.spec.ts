import { defineChannel } from 'nestjs-pgpubsub';
import { expect, it } from 'vitest';
import {
  committed,
  handled,
  recordRuns,
  startBehindProxy,
  store,
} from '../../support/claims-behind-proxy.js';
import { range, useStored } from '../../support/stored.js';

/**
 * The connection of a claim ends while its commit is on its way: the process cannot know whether
 * the server has committed.
 */

const stored = useStored();
const ROWS = 3;
const COMPLETION = '; commit';

const channelOf = (name: string) => defineChannel<number>(name, { delivery: 'exactly-once' });

/**
 * Cuts the connection at the commits of that number of claims, one after the other; resolves with
 * the runs when all rows are handled.
 */
async function cutCommits(name: string, cuts: number, isDelivered: boolean): Promise<readonly string[]> {
  const channel = channelOf(name);
  const { provider, runs } = recordRuns(channel);
  await using claiming = await startBehindProxy(stored, { providers: [provider] });
  let completion = claiming.proxy.hold(COMPLETION);
  await store(stored, channel, ROWS);
  for (const cut of range(cuts)) {
    const held = await completion;
    if (cut < cuts) completion = claiming.proxy.hold(COMPLETION);
    if (isDelivered) held.deliver();
    held.cut();
  }
  await handled(stored, channel);
  expect(await committed(stored, channel)).toEqual(range(ROWS));
  expect(await stored.deadLetters(channel)).toEqual([]);
  return runs.all;
}

it.concurrent(
  'the rows run again when the commit did not reach the server, and every effect exists once',
  async () => {
    const runs = await cutCommits('undelivered', 1, false);
    expect(runs.map((run) => run.split(':')[0])).toEqual(['1', '2', '3', '1', '2', '3']);
  },
);

it.concurrent('the rows do not run again when the server has committed them', async () => {
  expect(await cutCommits('delivered', 1, true)).toHaveLength(ROWS);
});

it.concurrent(
  'every effect exists once, after any number of commits that did not reach the server',
  async () => {
    await cutCommits('repeated', 4, false);
  },
);

it.concurrent('another process handles the rows that were undone, and none that were committed', async () => {
  const channels = { undone: channelOf('undone'), committed: channelOf('committed') };
  for (const [what, channel] of Object.entries(channels)) {
    const first = recordRuns(channel);
    const second = recordRuns(channel);
    await using claiming = await startBehindProxy(stored, { providers: [first.provider] });
    const completion = claiming.proxy.hold(COMPLETION);
    await store(stored, channel, ROWS);
    const held = await completion;
    await claiming.app.pubsub.pause([channel]); // only the other process claims
    await using _other = await stored.start({ providers: [second.provider] });
    if (what === 'committed') held.deliver();
    held.cut();
    await handled(stored, channel);
    expect(second.runs.all).toHaveLength(what === 'undone' ? ROWS : 0);
    expect(await committed(stored, channel)).toEqual(range(ROWS));
  }
});
