import { Injectable, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { Listener, PubSubService } from 'nestjs-pgpubsub';
import { PgPubSubTestingModule, PubSubTester } from 'nestjs-pgpubsub/testing';
import { OrderPlaced } from './orders.channels.js';

@Injectable()
class OpenOrders {
  count = 0;

  @Listener(OrderPlaced)
  add(): void {
    this.count += 1;
  }
}

@Module({ providers: [OpenOrders] })
class OrdersModule {}

describe('OpenOrders', () => {
  let app: TestingModule;
  let tester: PubSubTester;

  beforeAll(async () => {
    app = await Test.createTestingModule({
      imports: [OrdersModule, PgPubSubTestingModule.forRoot()],
    }).compile();
    await app.init();
    tester = app.get(PubSubTester);
  });

  afterAll(() => app.close());

  it('counts orders that are placed', async () => {
    await tester.publish(OrderPlaced, { orderId: 42 });
    await tester.flush();

    expect(app.get(OpenOrders).count).toBe(1);
  });

  it('sends what it notifies', async () => {
    await app.get(PubSubService).notify(OrderPlaced, { orderId: 43 });

    expect(tester.sent(OrderPlaced)).toMatchObject([{ payload: { orderId: 43 } }]);
  });
});
