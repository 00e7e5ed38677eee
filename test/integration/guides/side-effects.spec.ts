import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { collector } from '../../support/listeners.js';
import { useDatabase } from '../../support/use-database.js';
import {
  Billing,
  Charge,
  Charges,
  Invoice,
  InvoiceDue,
  InvoicePaid,
  Payments,
  SeenKey,
} from './side-effects.app.js';

const database = useDatabase({ per: 'test' });

/**
 * A payment service over HTTP that answers with `answers` first, and then charges like the receiver
 * of the guide.
 */
class PaymentServer implements AsyncDisposable {
  readonly keys = new Mailbox<string>();
  readonly answers: (number | 'hang up')[] = [];
  charges: Charges | undefined;
  private readonly server: Server;

  constructor() {
    this.server = createServer((request, response) => {
      const key = String(request.headers['idempotency-key']);
      this.keys.push(key);
      void this.charges?.make(key, 5).then((chargeId) => {
        const answer = this.answers.shift() ?? 200;
        if (answer === 'hang up') response.destroy();
        else response.writeHead(answer).end(JSON.stringify({ chargeId }));
      });
    });
  }

  async listen(): Promise<this> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

async function start(payments: PaymentServer) {
  const paid = collector(InvoicePaid);
  const app = await database.start({
    dataSource: { entities: [Invoice, SeenKey, Charge], synchronize: true },
    options: { synchronize: true, retry: { minDelayMs: 20, maxDelayMs: 50 } },
    providers: [Billing, Charges, paid.provider, { provide: Payments, useValue: payments }],
  });
  payments.charges = app.app.get(Charges);
  await database.query('insert into invoice (id, amount) values (1, 5)');
  return { app, paid: paid.received };
}

describe('the billing of docs/guides/side-effects.md', () => {
  it('charges once with one key, after any failed answers, and commits its writes with the completion', async () => {
    await using payments = await new PaymentServer().listen();
    payments.answers.push('hang up', 503);
    const { app, paid } = await start(payments);
    await using _app = app;
    await app.pubsub.notify(InvoiceDue, { invoiceId: 1 });

    expect((await paid.next()).payload).toEqual({ invoiceId: 1 });
    expect(payments.keys.all).toEqual(Array.from({ length: 3 }, () => 'shop/charge/1'));
    await expect(database.query('select id, amount from charge')).resolves.toEqual([
      { id: 'charge-shop/charge/1', amount: 5 },
    ]);
    await expect(database.query('select "chargeId" from invoice')).resolves.toEqual([
      { chargeId: 'charge-shop/charge/1' },
    ]);
    expect(paid.all).toHaveLength(1);
  });

  it('stops after an invoice that cannot be paid', async () => {
    await using payments = await new PaymentServer().listen();
    payments.answers.push(402);
    const { app } = await start(payments);
    await using _app = app;
    await app.pubsub.notify(InvoiceDue, { invoiceId: 1 });
    await eventually(async () => (await app.pubsub.stored.count()) === 0, 'it is given up');
    await expect(database.query('select listener from pgpubsub_dead_letter')).resolves.toEqual([
      { listener: 'charge' },
    ]);
    expect(payments.keys.all).toHaveLength(1);
  });

  it('ignores the second of two simultaneous requests with one key', async () => {
    await using payments = await new PaymentServer().listen();
    const { app } = await start(payments);
    await using _app = app;
    const charges = app.app.get(Charges);
    await Promise.all([charges.make('a', 1), charges.make('a', 1), charges.make('b', 1)]);
    await expect(database.query('select from charge')).resolves.toHaveLength(2);
  });
});
