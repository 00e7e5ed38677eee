import { BadRequestException, Injectable, Logger } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import {
  defineChannel,
  Listener,
  NonRetryableError,
  OnInsert,
  PubSubService,
  type EntityChange,
  type Notification,
} from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { Order } from './order.entity';
import { Receipt } from './receipt.entity';

export const OrderPlaced = defineChannel<{ orderId: number }>('order_placed');

@Injectable()
export class OrdersService {
  private readonly logger = new Logger(OrdersService.name);

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly pubsub: PubSubService,
  ) {}

  place(customer: string): Promise<Order> {
    return this.dataSource.transaction(async (manager) => {
      const order = await manager.save(Order, { customer });
      await this.pubsub.notify(OrderPlaced, { orderId: order.id }, { manager });
      if (customer === 'Mallory') throw new BadRequestException('Mallory may not order');
      return order;
    });
  }

  @Listener(OrderPlaced)
  announce({ orderId }: { orderId: number }): void {
    this.logger.log(`announced order ${orderId}`);
  }

  /** Fails in the first attempt, and permanently for an order without a customer. */
  @OnInsert(Order)
  async print(
    { new: order }: EntityChange<Order>,
    { manager, attempt }: Notification<EntityChange<Order>>,
  ): Promise<void> {
    if (!order) return;
    if (order.customer === 'Nobody') throw new NonRetryableError(`order ${order.id} has no customer`);
    await manager.insert(Receipt, { orderId: order.id });
    if (attempt === 1) throw new Error(`no paper for order ${order.id}`);
    this.logger.log(`printed order ${order.id}`);
  }
}
