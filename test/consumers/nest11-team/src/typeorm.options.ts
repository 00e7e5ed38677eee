import type { DataSourceOptions } from 'typeorm';
import { Order } from './order.entity';
import { Receipt } from './receipt.entity';

export const createTypeOrmOptions = (url: string): DataSourceOptions => ({
  type: 'postgres',
  url,
  entities: [Order, Receipt],
  migrations: [`${__dirname}/migrations/*{.ts,.js}`],
});
