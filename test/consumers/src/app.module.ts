import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PgPubSubModule } from 'nestjs-pgpubsub';
import { PgPubSubHealthIndicator } from 'nestjs-pgpubsub/terminus';
import { Greeter } from './greeter.js';
import { Witness } from './witness.js';

@Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url: process.env['DATABASE_URL'] ?? '', retryAttempts: 0 }),
    TerminusModule,
    PgPubSubModule.forRootAsync({ useFactory: () => ({ context: () => ({ process: process.pid }) }) }),
  ],
  providers: [Greeter, Witness, PgPubSubHealthIndicator],
})
export class AppModule {}
