import { expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { TestDatabase } from '../../support/database.js';
import { collector, payloadsOf } from '../../support/listeners.js';
import { ArticleChanged, Articles } from './errors.app.js';

it('the code of docs/errors.md sends the id when a payload is too large, and rethrows other errors', async () => {
  await using database = await TestDatabase.create();
  const { provider, received } = collector(ArticleChanged);
  await using app = await TestApp.start({ url: database.url, providers: [Articles, provider] });
  const articles = app.app.get(Articles);

  await articles.tell({ id: 1, text: 'short' });
  await articles.tell({ id: 2, text: 'x'.repeat(8_000) });
  await expect(articles.tell({ id: Number.NaN })).rejects.toMatchObject({ code: 'INVALID_PAYLOAD' });

  expect(payloadsOf(await received.take(2))).toEqual([{ id: 1, text: 'short' }, { id: 2 }]);
});
