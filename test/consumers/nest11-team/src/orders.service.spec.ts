import { Test } from '@nestjs/testing';
import { Logger, type INestApplicationContext } from '@nestjs/common';
import { PubSubService } from 'nestjs-pgpubsub';
import { PgPubSubTestingModule, PubSubTester } from 'nestjs-pgpubsub/testing';
import { AppModule } from './app.module';
import { Order } from './order.entity';
import { OrderPlaced } from './orders.service';
import { Receipt } from './receipt.entity';

describe('OrdersService', () => {
  const announced: unknown[] = [];
  let app: INestApplicationContext;
  let tester: PubSubTester;

  beforeAll(async () => {
    jest.spyOn(Logger.prototype, 'log').mockImplementation((line: unknown) => void announced.push(line));
    const builder = Test.createTestingModule({ imports: [AppModule] });
    const moduleRef = await PgPubSubTestingModule.override(builder, { entities: [Order, Receipt] }).compile();
    app = await moduleRef.init();
    tester = PubSubTester.of(app);
  });

  afterAll(() => app.close());

  it('announces orders that are placed', async () => {
    await tester.publish(OrderPlaced, { orderId: 42 });
    await tester.flush();

    expect(announced).toContain('announced order 42');
  });

  it('sends what it notifies', async () => {
    await app.get(PubSubService).notify(OrderPlaced, { orderId: 43 });

    expect(tester.sent(OrderPlaced)).toMatchObject([{ payload: { orderId: 43 } }]);
  });
});
