import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PgPubSubModule } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { addTransactionalDataSource } from 'typeorm-transactional';
import { Order } from './order.entity.js';
import { OrdersController } from './orders.controller.js';
import { OrdersService } from './orders.service.js';
import { createTypeOrmOptions } from './typeorm.options.js';

@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      useFactory: () => ({ ...createTypeOrmOptions(), migrationsRun: true }),
      dataSourceFactory: (options) => {
        if (!options) throw new Error('expected options');
        return Promise.resolve(addTransactionalDataSource(new DataSource(options)));
      },
    }),
    TypeOrmModule.forFeature([Order]),
    PgPubSubModule.forRootAsync({ useFactory: () => ({ listen: process.env['LISTEN'] !== 'false' }) }),
  ],
  controllers: [OrdersController],
  providers: [OrdersService],
})
export class AppModule {}
