import { defineChannel } from 'nestjs-pgpubsub';
import { beforeAll, expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { useDatabase } from '../../support/use-database.js';

const Orders = defineChannel<number>('orders', { delivery: 'exactly-once' });

const database = useDatabase();
let app: TestApp;
beforeAll(async () => {
  app = await database.start({ options: { listen: false } });
});

const missing = {
  code: 'STORAGE_MISSING',
  message: expect.stringMatching(/"public.pgpubsub_\w+" does not exist.*migration:run/) as string,
  cause: expect.objectContaining({ code: '42P01' }) as Error,
};

it('notify() and notifyMany() reject with STORAGE_MISSING and the remedy when the tables do not exist', async () => {
  await expect(app.pubsub.notify(Orders, 1)).rejects.toMatchObject(missing);
  await expect(app.pubsub.notifyMany(Orders, [1, 2])).rejects.toMatchObject(missing);
  await app.dataSource.transaction(async (manager) => {
    await expect(app.pubsub.notify(Orders, 1, { manager })).rejects.toMatchObject(missing);
  });
});

it('the methods of pubsub.stored reject with STORAGE_MISSING, too', async () => {
  await expect(app.pubsub.stored.count()).rejects.toMatchObject(missing);
  await expect(app.pubsub.stored.pending().next()).rejects.toMatchObject(missing);
  await expect(app.pubsub.stored.deadLetters().next()).rejects.toMatchObject(missing);
  await expect(app.pubsub.stored.discard({})).rejects.toMatchObject(missing);
});
