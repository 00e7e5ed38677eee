import { Body, Controller, Post } from '@nestjs/common';
import { OrdersService } from './orders.service.js';

@Controller('orders')
export class OrdersController {
  constructor(private readonly orders: OrdersService) {}

  @Post()
  place(@Body('customer') customer: string): Promise<{ id: number }> {
    return this.orders.place(customer);
  }
}
