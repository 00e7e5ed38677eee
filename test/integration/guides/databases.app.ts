import { Injectable, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import {
  InjectPubSub,
  Listener,
  PgPubSubModule,
  PubSubService,
  defineChannel,
  withPgPubSub,
  type Notification,
} from 'nestjs-pgpubsub';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';

/** The code of docs/guides/several-databases.md. */

@Entity()
export class StockLevel {
  @PrimaryColumn('text')
  article!: string;

  @Column('int')
  count!: number;
}

@Entity()
export class SeenNotification {
  @PrimaryColumn('text')
  id!: string;
}

export const ArticleSold = defineChannel<{ article: string }>('article_sold', {
  delivery: 'exactly-once',
});
export const StockChanged = defineChannel<{ article: string }>('stock_changed');

export const shop = withPgPubSub(
  new DataSource({ type: 'postgres', url: process.env['SHOP_URL'] ?? '' }),
  { channels: [ArticleSold] },
);
export const warehouse = new DataSource({
  type: 'postgres',
  url: process.env['WAREHOUSE_URL'] ?? '',
  entities: [StockLevel, SeenNotification],
});

@Injectable()
export class Stock {
  constructor(
    @InjectPubSub('warehouse') private readonly pubsub: PubSubService,
  ) {}

  /** Stored in the shop's database; takes effect in the warehouse's. */
  @Listener(ArticleSold)
  take({ article }: { article: string }, { id }: Notification): Promise<void> {
    return warehouse.transaction(async (manager) => {
      const seen = manager
        .createQueryBuilder()
        .insert()
        .into(SeenNotification)
        .values({ id: `shop/${id}` });
      const { raw } = await seen.orIgnore().returning('id').execute();
      // An earlier attempt committed here, but not in the shop.
      if ((raw as unknown[]).length === 0) return;
      await manager.decrement(StockLevel, { article }, 'count', 1);
      await this.pubsub.notify(StockChanged, { article }, { manager });
    });
  }
}

@Injectable()
export class StockDisplay {
  readonly changed: string[] = [];

  @Listener(StockChanged, { instance: 'warehouse' })
  show({ article }: { article: string }): void {
    this.changed.push(article);
  }
}

@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      useFactory: () => shop.options,
      dataSourceFactory: () => Promise.resolve(shop),
    }),
    TypeOrmModule.forRootAsync({
      name: 'warehouse',
      useFactory: () => warehouse.options,
      dataSourceFactory: () => Promise.resolve(warehouse),
    }),
    PgPubSubModule.forRoot(),
    PgPubSubModule.forRoot({ name: 'warehouse', dataSource: 'warehouse' }),
  ],
  providers: [Stock, StockDisplay],
})
export class AppModule {}
