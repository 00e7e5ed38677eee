import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { ThrottlerGuard, ThrottlerModule } from '@nestjs/throttler';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PgPubSubModule } from 'nestjs-pgpubsub';
import { AllExceptionsFilter, ResponseInterceptor } from './http.enhancers';
import { OrdersController } from './orders.controller';
import { OrdersService } from './orders.service';
import { createTypeOrmOptions } from './typeorm.options';

@Module({
  imports: [
    ConfigModule.forRoot({ isGlobal: true }),
    ThrottlerModule.forRoot([{ ttl: 60_000, limit: 100 }]),
    TypeOrmModule.forRootAsync({
      inject: [ConfigService],
      useFactory: (config: ConfigService) => createTypeOrmOptions(config.getOrThrow<string>('DATABASE_URL')),
    }),
    PgPubSubModule.forRootAsync({
      inject: [ConfigService],
      useFactory: (config: ConfigService) => ({ listen: config.get('LISTEN') !== 'false' }),
    }),
  ],
  controllers: [OrdersController],
  providers: [
    OrdersService,
    { provide: APP_GUARD, useClass: ThrottlerGuard },
    { provide: APP_FILTER, useClass: AllExceptionsFilter },
    { provide: APP_INTERCEPTOR, useClass: ResponseInterceptor },
  ],
})
export class AppModule {}
