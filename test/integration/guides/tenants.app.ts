import { AsyncLocalStorage } from 'node:async_hooks';
import {
  Injectable,
  UseInterceptors,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import {
  Listener,
  NotifyChanges,
  OnInsert,
  PGPUBSUB_CONTEXT,
  PgPubSubModule,
  PubSubService,
  defineChannel,
  type EntityChange,
  type Notification,
} from 'nestjs-pgpubsub';
import { Observable } from 'rxjs';
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** The code of docs/guides/tenants.md. */

@Entity()
@NotifyChanges({ on: ['insert'], delivery: 'exactly-once' })
export class Order {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  article!: string;
}

@Entity()
export class Shipment {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('int')
  orderId!: number;

  @Column('text', {
    nullable: true,
    default: () => `current_setting('app.tenant', true)`,
  })
  tenant!: string | null;
}

export const PricesChanged = defineChannel('prices_changed');

/** Set by a middleware for requests, by the interceptor for notifications. */
export const currentTenant = new AsyncLocalStorage<string>();

export const pubsubModule = PgPubSubModule.forRoot({
  context: () => ({ tenant: currentTenant.getStore() ?? null }),
  globalEnhancers: true,
});

/** Handles stored notifications of one tenant, and sends with its context. */
export const pubsubModuleFor = (tenant: string) =>
  PgPubSubModule.forRoot({
    context: () => ({ tenant }),
    filter: { context: { tenant } },
    globalEnhancers: true,
  });

@Injectable()
export class TenantInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    if (context.getType<string>() !== PGPUBSUB_CONTEXT) return next.handle();
    const notification = context.switchToRpc().getContext<Notification>();
    const { tenant } = notification.context;
    if (typeof tenant !== 'string') return next.handle(); // no tenant
    return new Observable((subscriber) =>
      currentTenant.run(tenant, () => next.handle().subscribe(subscriber)),
    );
  }
}

@Injectable()
@UseInterceptors(TenantInterceptor)
export class Shipping {
  readonly handled: string[] = [];

  constructor(
    private readonly dataSource: DataSource,
    private readonly pubsub: PubSubService,
  ) {}

  @OnInsert(Order)
  async ship(
    { new: order }: EntityChange<Order>,
    { manager }: Notification<EntityChange<Order>>,
  ): Promise<void> {
    if (!order) return;
    this.handled.push(`${order.article} for ${currentTenant.getStore()}`);
    await manager.query(`select set_config('app.tenant', $1, true)`, [
      currentTenant.getStore(),
    ]);
    await manager.insert(Shipment, { orderId: order.id });
  }

  @Listener(PricesChanged, { filter: { context: { tenant: 'acme' } } })
  reprice(): void {
    this.handled.push(`prices for ${currentTenant.getStore()}`);
  }

  /** A job that runs outside of a request. */
  async importOrders(tenant: string, articles: string[]): Promise<void> {
    await this.pubsub.withContext({ tenant }, async (manager) => {
      await manager.insert(
        Order,
        articles.map((article) => ({ article })),
      );
      await this.pubsub.notify(PricesChanged, undefined, { manager });
    });
  }

  /** Runs within a request: the module adds the context. */
  async order(article: string): Promise<void> {
    await this.dataSource.manager.insert(Order, { article });
  }
}
