import { Injectable, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import {
  NotifyChanges,
  OnInsert,
  PgPubSubModule,
  type EntityChange,
} from 'nestjs-pgpubsub';
import { PgPubSubTestingModule, PubSubTester } from 'nestjs-pgpubsub/testing';
import { Entity, PrimaryColumn } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { OpenOrders, OrderPlaced, Orders, OrdersModule } from './guide.app.js';

const SILENT = { log() {}, warn() {}, error() {} };

describe('the orders in docs/testing.md', () => {
  let app: TestingModule;
  let tester: PubSubTester;

  beforeEach(async () => {
    app = await Test.createTestingModule({
      imports: [OrdersModule, PgPubSubTestingModule.forRoot()],
    })
      .setLogger(SILENT)
      .compile();
    await app.init(); // starts the listeners
    tester = app.get(PubSubTester);
  });
  afterEach(() => app.close());

  it('are open once another process has placed them', async () => {
    await tester.publish(OrderPlaced, { orderId: 42 });
    await tester.flush();

    expect(app.get(OpenOrders).count).toBe(1);
  });

  it('fail the test when their listener fails', async () => {
    await tester.publish(OrderPlaced, { orderId: -1 });
    await expect(tester.flush()).rejects.toThrow('there is no order -1');
  });

  it('are forgotten after a gap', async () => {
    await app.get(Orders).place(42);
    tester.interrupt();
    await tester.flush();

    expect(app.get(OpenOrders).count).toBe(0);
  });

  it('are notified when they are placed', async () => {
    await app.get(Orders).place(42);

    expect(tester.sent(OrderPlaced)).toMatchObject([
      { payload: { orderId: 42 } },
    ]);
  });
});

@Entity()
@NotifyChanges()
class Author {
  @PrimaryColumn('text') name!: string;
}

@Injectable()
class Greeter {
  readonly greeted: (string | undefined)[] = [];

  @OnInsert(Author)
  greet({ new: author }: EntityChange<Author>): void {
    this.greeted.push(author?.name);
  }
}

@Module({
  imports: [
    TypeOrmModule.forRoot({
      type: 'postgres',
      url: 'postgres://127.0.0.1:1',
      entities: [Author],
    }),
    PgPubSubModule.forRoot(),
  ],
  providers: [Greeter],
})
class AppModule {}

it('an application is tested without modification on changes of a table', async () => {
  const builder = Test.createTestingModule({ imports: [AppModule] });
  const app = await PgPubSubTestingModule.override(builder, {
    entities: [Author],
  }).compile();
  await app.init();
  const tester = PubSubTester.of(app);

  const ada = Object.assign(new Author(), { name: 'Ada' });
  await tester.publish(Author, { operation: 'insert', new: ada });
  await tester.flush();

  expect(app.get(Greeter).greeted).toEqual(['Ada']);
  await app.close();
});
