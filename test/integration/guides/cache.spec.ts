import { withPgPubSub } from 'nestjs-pgpubsub';
import { filter, firstValueFrom } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { TestApp } from '../../support/app.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';
import { CarefulProductCache, Product, ProductCache } from './cache.app.js';

const database = useDatabase({ per: 'test' });

const start = (provider: typeof ProductCache | typeof CarefulProductCache): Promise<TestApp> =>
  database.start({
    dataSource: { entities: [Product], synchronize: true },
    patch: withPgPubSub,
    providers: [provider],
  });

const priced = (cache: ProductCache, price: number | undefined) => async () =>
  (await cache.find(1))?.price === price;

describe('the cache of docs/guides/cache-invalidation.md', () => {
  it('removes an entry when any client inserts, updates or deletes its row', async () => {
    await using app = await start(ProductCache);
    const cache = app.app.get(ProductCache);
    await expect(cache.find(1)).resolves.toBeNull();
    await database.query(`insert into product (name, price) values ('chair', 10)`);
    await eventually(priced(cache, 10), 'the insert is known');
    await database.query('update product set price = 11');
    await eventually(priced(cache, 11), 'the update is known');
    await database.query('delete from product');
    await eventually(priced(cache, undefined), 'the deletion is known');
  });

  it('keeps an entry until a change', async () => {
    await using app = await start(ProductCache);
    const cache = app.app.get(ProductCache);
    await database.query(`insert into product (name) values ('chair')`);
    await eventually(priced(cache, 0), 'the insert is known');
    expect(await cache.find(1)).toBe(await cache.find(1));
  });

  it('removes all entries after a gap, because it may have missed a change', async () => {
    await using app = await start(ProductCache);
    const cache = app.app.get(ProductCache);
    await database.query(`insert into product (name, price) values ('chair', 10)`);
    await eventually(priced(cache, 10), 'the insert is known');
    await database.terminateListeners();
    await database.query(`set pgpubsub.disabled = 'on'; update product set price = 11`); // as if the change were lost
    await eventually(priced(cache, 11), 'the gap is told');
  });
});

describe('the careful cache of docs/guides/cache-invalidation.md', () => {
  it('reads from the database while the LISTEN connection is down, and from its entries otherwise', async () => {
    await using app = await start(CarefulProductCache);
    const cache = app.app.get(CarefulProductCache);
    await database.query(`insert into product (name, price) values ('chair', 10)`);
    await eventually(priced(cache, 10), 'the insert is known');
    expect(await cache.find(1)).toBe(await cache.find(1));

    const during = new Mailbox<Promise<boolean>>();
    app.pubsub.connection$
      .pipe(filter((state) => state === 'reconnecting'))
      .subscribe(() =>
        during.push(Promise.all([cache.find(1), cache.find(1)]).then(([one, other]) => one !== other)),
      );
    await database.terminateListeners();
    expect(await during.next()).toBe(true);
    await firstValueFrom(app.pubsub.connection$.pipe(filter((state) => state === 'listening')));
    expect(await cache.find(1)).toBe(await cache.find(1));
  });

  it('removes entries of changed rows by an inherited listener', async () => {
    await using app = await start(CarefulProductCache);
    const cache = app.app.get(CarefulProductCache);
    await database.query(`insert into product (name, price) values ('chair', 10)`);
    await eventually(priced(cache, 10), 'the insert is known');
    await database.query('update product set price = 12');
    await eventually(priced(cache, 12), 'the update is known');
  });
});
