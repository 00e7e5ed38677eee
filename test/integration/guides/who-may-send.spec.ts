import { expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { TestDatabase } from '../../support/database.js';
import { collector, payloadsOf } from '../../support/listeners.js';
import { CacheCleared } from './who-may-send.app.js';

it('the codec of docs/guides/who-may-send.md rejects notifications that were sent without the secret', async () => {
  await using database = await TestDatabase.create();
  const { provider, received } = collector(CacheCleared);
  await using app = await TestApp.start({ url: database.url, providers: [provider] });
  const text = JSON.stringify({ tenant: 'victim', sentAt: 0 });
  const forgeries = [{}, { text }, { text, mac: '' }, { text, mac: 'ab'.repeat(32) }, 'text', null];
  for (const forged of forgeries)
    await database.query(`select pg_notify('cache_cleared', $1)`, [JSON.stringify(forged)]);
  for (const empty of ['', '{"pgpubsub":1,"context":{"tenant":"victim"}}'])
    await database.query(`select pg_notify('cache_cleared', $1)`, [empty]);
  await app.pubsub.notify(CacheCleared, { tenant: 'acme', sentAt: 1 });

  expect(payloadsOf(await received.take(1))).toEqual([{ tenant: 'acme', sentAt: 1 }]);
  await app.close();
  expect(received.untaken).toEqual([]);
  expect(app.log.all.filter(({ text: line }) => line.includes('cache_cleared')).length).toBeGreaterThan(0);
});
