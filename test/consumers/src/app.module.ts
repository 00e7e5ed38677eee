import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PgPubSubModule } from 'nestjs-pgpubsub';
import { Greeter } from './greeter.js';
import { Witness } from './witness.js';

@Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url: process.env['DATABASE_URL'] ?? '', retryAttempts: 0 }),
    PgPubSubModule.forRootAsync({ useFactory: () => ({ context: () => ({ process: process.pid }) }) }),
  ],
  providers: [Greeter, Witness],
})
export class AppModule {}
