import { Injectable, Module } from '@nestjs/common';
import { Listener, OnGap, PubSubService, defineChannel } from 'nestjs-pgpubsub';

/** The application that docs/testing.md tests. */

export const OrderPlaced = defineChannel<{ orderId: number }>('order_placed');

@Injectable()
export class Orders {
  constructor(private readonly pubsub: PubSubService) {}

  async place(orderId: number): Promise<void> {
    await this.pubsub.notify(OrderPlaced, { orderId });
  }
}

@Injectable()
export class OpenOrders {
  private readonly ids = new Set<number>();

  @Listener(OrderPlaced)
  add({ orderId }: { orderId: number }): void {
    if (orderId < 1) throw new RangeError(`there is no order ${orderId}`);
    this.ids.add(orderId);
  }

  @OnGap()
  forget(): void {
    this.ids.clear();
  }

  get count(): number {
    return this.ids.size;
  }
}

@Module({ providers: [Orders, OpenOrders] })
export class OrdersModule {}
