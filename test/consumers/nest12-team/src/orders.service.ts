import { BadRequestException, Injectable, Logger } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Listener, NonRetryableError, PubSubService, type Notification } from 'nestjs-pgpubsub';
import { Repository } from 'typeorm';
import { Transactional } from 'typeorm-transactional';
import { Order } from './order.entity.js';
import { OrderPlaced, OrderToPrint } from './orders.channels.js';
import { Receipt } from './receipt.entity.js';

@Injectable()
export class OrdersService {
  private readonly logger = new Logger(OrdersService.name);

  constructor(
    @InjectRepository(Order) private readonly orders: Repository<Order>,
    private readonly pubsub: PubSubService,
  ) {}

  @Transactional()
  async place(customer: string): Promise<Order> {
    const order = await this.orders.save({ customer });
    await this.pubsub.notify(OrderPlaced, { orderId: order.id });
    await this.pubsub.notify(OrderToPrint, { orderId: order.id, customer });
    if (customer === 'Mallory') throw new BadRequestException('Mallory may not order');
    return order;
  }

  @Listener(OrderPlaced)
  announce({ orderId }: { orderId: number }): void {
    this.logger.log(`announced order ${orderId}`);
  }

  /** Fails in the first attempt, and permanently for an order without a customer. */
  @Listener(OrderToPrint)
  async print(
    { orderId, customer }: { orderId: number; customer: string },
    { manager, attempt }: Notification,
  ): Promise<void> {
    if (customer === 'Nobody') throw new NonRetryableError(`order ${orderId} has no customer`);
    await manager.insert(Receipt, { orderId });
    if (attempt === 1) throw new Error(`no paper for order ${orderId}`);
    this.logger.log(`printed order ${orderId}`);
  }
}
