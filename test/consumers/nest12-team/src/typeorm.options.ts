import type { PostgresConnectionOptions } from 'typeorm/driver/postgres/PostgresConnectionOptions.js';
import { Order } from './order.entity.js';
import { Receipt } from './receipt.entity.js';

/** A function, because the environment may not be set yet when this file is loaded. */
export const createTypeOrmOptions = (): PostgresConnectionOptions => ({
  type: 'postgres',
  url: process.env['DATABASE_URL'] ?? '',
  entities: [Order, Receipt],
  migrations: [`${import.meta.dirname}/migrations/*{.ts,.js}`],
});
