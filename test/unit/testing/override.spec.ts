import { Injectable, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { NotifyChanges, OnInsert, PgPubSubModule, PubSubService, type EntityChange } from 'nestjs-pgpubsub';
import { PgPubSubTestingModule, PubSubTester } from 'nestjs-pgpubsub/testing';
import { DataSource, Entity, PrimaryColumn, Repository } from 'typeorm';
import { afterEach, describe, expect, it } from 'vitest';
import { collector, payloadsOf } from '../../support/listeners.js';

@Entity()
@NotifyChanges()
class Author {
  @PrimaryColumn('text') name!: string;
}

@Injectable()
class Authors {
  readonly welcomed: (string | undefined)[] = [];

  constructor(
    @InjectRepository(Author) private readonly authors: Repository<Author>,
    private readonly pubsub: PubSubService,
  ) {}

  @OnInsert(Author)
  async welcome({ new: author }: EntityChange<Author>) {
    this.welcomed.push(author?.name);
    await this.pubsub.notify('welcomed', author?.name);
  }

  count() {
    return this.authors.count();
  }
}

const { provider, received } = collector('welcomed');

const pubsub = PgPubSubModule.forRoot({ verifySchema: 'error' });

/** An application as it is in production. No server answers at its address. */
@Module({
  imports: [
    TypeOrmModule.forRoot({
      type: 'postgres',
      url: 'postgres://nobody@127.0.0.1:1/nowhere',
      entities: [Author],
    }),
    TypeOrmModule.forFeature([Author]),
    pubsub,
  ],
  providers: [Authors, provider],
})
class AppModule {}

const SILENT = { log() {}, warn() {}, error() {} };
const ada = Object.assign(new Author(), { name: 'Ada' });

let app: TestingModule | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

describe('PgPubSubTestingModule.override()', () => {
  it('replaces the database of a whole application', async () => {
    const builder = Test.createTestingModule({ imports: [AppModule] }).setLogger(SILENT);
    app = await PgPubSubTestingModule.override(builder, { entities: [Author] }).compile();
    await app.init();
    const tester = PubSubTester.of(app);

    await tester.publish(Author, { operation: 'insert', new: ada });
    await tester.flush();

    expect(app.get(Authors).welcomed).toEqual(['Ada']);
    expect(payloadsOf(received.all)).toEqual(['Ada']);
    expect(tester.sent('welcomed')).toHaveLength(1);
    await expect(app.get(Authors).count()).rejects.toMatchObject({ code: 'DATA_SOURCE_UNUSABLE' });
    await expect(app.get(DataSource).query('select 1')).rejects.toMatchObject({
      code: 'DATA_SOURCE_UNUSABLE',
    });
    await expect(app.get(DataSource).transaction(() => Promise.resolve())).rejects.toMatchObject({
      code: 'DATA_SOURCE_UNUSABLE',
    });
  });
});

it('overrideModule() of Nest replaces the module of the library with PgPubSubTestingModule', async () => {
  const listener = collector('orders');
  @Module({ imports: [pubsub], providers: [listener.provider] })
  class OrdersModule {}

  app = await Test.createTestingModule({ imports: [OrdersModule] })
    .overrideModule(pubsub)
    .useModule(PgPubSubTestingModule.forRoot())
    .compile();
  await app.init();

  await app.get(PubSubTester).publish('orders', 1);
  await app.get(PubSubTester).flush();

  expect(payloadsOf(listener.received.all)).toEqual([1]);
});
