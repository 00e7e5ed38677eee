import { Body, Controller, Get, Post } from '@nestjs/common';
import { OrdersService } from './orders.service';

@Controller('orders')
export class OrdersController {
  constructor(private readonly orders: OrdersService) {}

  @Get()
  fail(): never {
    throw new Error('there is no list of orders');
  }

  @Post()
  place(@Body('customer') customer: string): Promise<{ id: number }> {
    return this.orders.place(customer);
  }
}
