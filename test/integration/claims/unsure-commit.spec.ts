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

/** The connection of a claim ends while its commit is on its way: the process cannot know what became of it. */

const stored = useStored();
const ROWS = 3;
const COMPLETION = '; commit';

const channelOf = (name: string) => defineChannel<number>(name, { delivery: 'exactly-once' });

/** Cuts that number of claims at their commit, one after the other; resolves with the runs, when all is handled. */
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
  'handles the rows again when the commit did not reach the server: every effect is there once',
  async () => {
    const runs = await cutCommits('undelivered', 1, false);
    expect(runs.map((run) => run.split(':')[0])).toEqual(['1', '2', '3', '1', '2', '3']);
  },
);

it.concurrent('does not handle the rows again when the server has committed them', async () => {
  expect(await cutCommits('delivered', 1, true)).toHaveLength(ROWS);
});

it.concurrent('ends with every effect once, however often the commit does not reach the server', async () => {
  await cutCommits('repeated', 4, false);
});

it.concurrent('leaves undone rows to another process, and committed ones to none', async () => {
  const channels = { undone: channelOf('undone'), committed: channelOf('committed') };
  for (const [what, channel] of Object.entries(channels)) {
    const first = recordRuns(channel);
    const second = recordRuns(channel);
    await using claiming = await startBehindProxy(stored, { providers: [first.provider] });
    const completion = claiming.proxy.hold(COMPLETION);
    await store(stored, channel, ROWS);
    const held = await completion;
    await claiming.app.pubsub.pause([channel]); // only the other one goes on
    await using _other = await stored.start({ providers: [second.provider] });
    if (what === 'committed') held.deliver();
    held.cut();
    await handled(stored, channel);
    expect(second.runs.all).toHaveLength(what === 'undone' ? ROWS : 0);
    expect(await committed(stored, channel)).toEqual(range(ROWS));
  }
});
