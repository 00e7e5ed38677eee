import { expect, it } from 'vitest';
import { StoredDatabase, StoredWorker } from '../support/stored-worker.js';

/** The default is 200 MB. With `PGPUBSUB_BACKLOG=1000000` the test logs its measurement. */
const BACKLOG = Number(process.env['PGPUBSUB_BACKLOG'] ?? 100_000);
const MEGABYTE = 1024 * 1024;

it('a worker needs no more memory for the rest of a large backlog than for its first tenth', async () => {
  await using database = await StoredDatabase.create();
  await database.query(
    `insert into pgpubsub_notification (channel, payload)
    select 'ticks', json_build_object('n', n, 'text', repeat('x', 2000)) from generate_series(1, $1) as n`,
    [BACKLOG],
  );
  await using worker = await StoredWorker.start(database.url, { name: 'one' });
  await database.drained();
  await worker.reports.find((report) => report.type === 'ticks' && report.count === BACKLOG);

  const held = worker.reports.all.flatMap((report) =>
    report.type === 'ticks' ? [report.rss / MEGABYTE] : [],
  );
  const tenth = held.length / 10;
  const start = Math.max(...held.slice(0, tenth));
  const growth = Math.max(...held.slice(tenth)) - start;
  if (process.env['PGPUBSUB_BACKLOG']) console.log({ start, growth, end: held.at(-1) });
  expect(growth).toBeLessThan(128);
}, 300_000);
