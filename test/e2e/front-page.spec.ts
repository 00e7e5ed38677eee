import { describe, expect, it } from 'vitest';
import type { AsJson, FrontPage } from '../../sample-app/src/feed/front-page.js';
import { TestDatabase } from '../support/database.js';
import { EventStream } from '../support/event-stream.js';
import { SampleApp } from '../support/sample-app.js';

type State = AsJson<FrontPage>;

describe('the front page of a newsroom with history', () => {
  it('counts the reads of all days and shows the last six days', async () => {
    await using database = await TestDatabase.create();
    await using app = await SampleApp.start(database.url);
    await database.query(
      `insert into reads_per_day (date, reads) select date '2026-01-01' + n, n from generate_series(1, 8) n`,
    );

    const { reads } = await firstState(app);

    expect(reads.count).toBe(36);
    expect(reads.latest.map(({ reads: times }) => times)).toEqual([8, 7, 6, 5, 4, 3]);
  });

  it('shows the running processes and the last nine of those that ended', async () => {
    await using database = await TestDatabase.create();
    await using app = await SampleApp.start(database.url);
    await database.query(
      `insert into handling (process, channel, notification_id, attempt)
        select 'Atlantis-' || n, channel, n, 1 from generate_series(101, 120) n, unnest(array['author', 'post_reads']) channel`,
    );

    const { process, processes } = await firstState(app);

    expect(processes.filter(({ role }) => role !== null)).toEqual([
      { name: process, role: 'all', handled: {} },
    ]);
    const gone = Array.from({ length: 9 }, (_, index) => ({
      name: `Atlantis-${112 + index}`,
      role: null,
      handled: { author: 1, post_reads: 1 },
    }));
    expect(processes.filter(({ role }) => role === null)).toEqual(gone);
  });
});

async function firstState(app: SampleApp): Promise<State> {
  await using stream = await EventStream.open(`${app.origin}/feed/front-page`);
  const { data } = await stream.events.next();
  return data as State;
}
