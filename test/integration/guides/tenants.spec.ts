import { withPgPubSub } from 'nestjs-pgpubsub';
import { describe, expect, it } from 'vitest';
import type { TestApp, TestAppOptions } from '../../support/app.js';
import { eventually } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';
import { Order, Shipment, Shipping, currentTenant, pubsubModule, pubsubModuleFor } from './tenants.app.js';

const database = useDatabase({ per: 'test' });

const start = (module: TestAppOptions['module']): Promise<TestApp> =>
  database.start({
    dataSource: { entities: [Order, Shipment], synchronize: true },
    patch: withPgPubSub,
    ...(module && { module }),
    providers: [Shipping],
  });

const shipped = async (count: number): Promise<boolean> =>
  (await database.query('select from shipment')).length === count;

describe('the tenants of docs/guides/tenants.md', () => {
  it('are carried by writes and notifications, and are set again in listeners', async () => {
    await using app = await start(pubsubModule);
    const shipping = app.app.get(Shipping);
    await Promise.all(
      ['acme', 'bolt'].map((tenant) => currentTenant.run(tenant, () => shipping.order('chair'))),
    );
    await shipping.importOrders('acme', ['table']);
    await shipping.importOrders('bolt', ['desk']);
    await eventually(() => shipped(4), 'all are shipped');
    await eventually(() => shipping.handled.length === 5, 'the prices are heard of');

    expect(shipping.handled.toSorted()).toEqual([
      'chair for acme',
      'chair for bolt',
      'desk for bolt',
      'prices for acme',
      'table for acme',
    ]);
    const rows = await database.query<{ both: string }>(
      `select article || ' for ' || tenant as both from "order" o join shipment s on s."orderId" = o.id order by 1`,
    );
    expect(rows.map(({ both }) => both)).toEqual([
      'chair for acme',
      'chair for bolt',
      'desk for bolt',
      'table for acme',
    ]);
  });

  it('are not set for a notification without a tenant, after one with a tenant', async () => {
    await using app = await start(pubsubModule);
    const shipping = app.app.get(Shipping);
    await shipping.importOrders('acme', ['table']);
    await shipping.order('lamp');
    await eventually(() => shipped(2), 'both are shipped');

    expect(shipping.handled).toContain('lamp for undefined');
    await expect(
      database.query(
        `select tenant from "order" o join shipment s on s."orderId" = o.id where article = 'lamp'`,
      ),
    ).resolves.toEqual([{ tenant: '' }]);
  });

  it('have their notifications handled by their own process', async () => {
    await using acme = await start(pubsubModuleFor('acme'));
    await acme.app.get(Shipping).importOrders('bolt', ['desk']);
    await acme.app.get(Shipping).importOrders('acme', ['table']);
    await eventually(() => shipped(1), 'one is shipped');
    await expect(acme.pubsub.stored.count({ context: { tenant: 'bolt' } })).resolves.toBe(1);

    await using _bolt = await start(pubsubModuleFor('bolt'));
    await eventually(() => shipped(2), 'the other is shipped');
  });
});
