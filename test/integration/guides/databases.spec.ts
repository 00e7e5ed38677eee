import { Test } from '@nestjs/testing';
import { getPubSubToken, type PubSubService } from 'nestjs-pgpubsub';
import { filter, firstValueFrom } from 'rxjs';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { eventually } from '../../support/mailbox.js';
import { generate, run } from '../../support/storage.js';
import { useDatabase } from '../../support/use-database.js';

const SILENT = { log() {}, warn() {}, error() {} };

const shopDatabase = useDatabase();
const warehouseDatabase = useDatabase();
beforeAll(() => {
  vi.stubEnv('SHOP_URL', shopDatabase.url);
  vi.stubEnv('WAREHOUSE_URL', warehouseDatabase.url);
});
afterAll(() => void vi.unstubAllEnvs());

it('the shop of docs/guides/several-databases.md stores notifications that take effect in the warehouse once', async () => {
  const guide = await import('./databases.app.js'); // late, because the module reads the environment
  const { AppModule, StockDisplay, StockLevel, shop, warehouse } = guide;
  for (const source of [shop, warehouse]) {
    await source.initialize();
    await run(source, (await generate(source)).up);
    await source.destroy();
  }
  await warehouseDatabase.query(`insert into stock_level values ('chair', 3), ('table', 3)`);
  await warehouseDatabase.query(`insert into seen_notification values ('shop/2')`); // as after a crash

  const module = await Test.createTestingModule({ imports: [AppModule] })
    .setLogger(SILENT)
    .compile();
  const app = module.createNestApplication();
  await app.init();
  try {
    const { connection$ } = app.get<PubSubService>(getPubSubToken('warehouse'));
    await firstValueFrom(connection$.pipe(filter((state) => state === 'listening'))); // earlier broadcasts would not be shown
    for (const article of ['chair', 'table'])
      await shopDatabase.query(`select pgpubsub_notify('article_sold', $1)`, [JSON.stringify({ article })]);
    const waiting = () => shopDatabase.query('select from pgpubsub_notification');
    await eventually(async () => (await waiting()).length === 0, 'all is handled');
    await eventually(() => app.get(StockDisplay).changed.length > 0, 'the change is shown');
    expect(app.get(StockDisplay).changed).toEqual(['chair']);
    await expect(warehouse.manager.find(StockLevel, { order: { article: 'ASC' } })).resolves.toEqual([
      { article: 'chair', count: 2 },
      { article: 'table', count: 3 },
    ]);
  } finally {
    await app.close();
  }
});
