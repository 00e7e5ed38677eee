import type { PostgresConnectionOptions } from 'typeorm/driver/postgres/PostgresConnectionOptions.js';
import { Order } from './order.entity.js';
import { Receipt } from './receipt.entity.js';

/** When it is called the environment is set, which it need not be when files are loaded. */
export const createTypeOrmOptions = (): PostgresConnectionOptions => ({
  type: 'postgres',
  url: process.env['DATABASE_URL'] ?? '',
  entities: [Order, Receipt],
  migrations: [`${import.meta.dirname}/migrations/*{.ts,.js}`],
});
