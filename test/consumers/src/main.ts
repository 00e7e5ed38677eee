import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PgPubSubModule } from 'nestjs-pgpubsub';
import { Greeter } from './greeter.js';
import { tell } from './greeting.js';
import { Witness } from './witness.js';

@Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url: process.env['DATABASE_URL'] ?? '', retryAttempts: 0 }),
    PgPubSubModule.forRootAsync({ useFactory: () => ({ context: () => ({ process: process.pid }) }) }),
  ],
  providers: [Greeter, Witness],
})
class AppModule {}

/**
 * Greets when the test asks for it, and closes when the test lets go of it (or has ended). The process then ends
 * without `process.exit()`, so whatever the library leaves open shows.
 */
async function main(name: string): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, {
    logger: ['error', 'warn'],
    abortOnError: false,
  });
  process.on('message', () => void app.get(Greeter).greet(name));
  process.once('disconnect', () => void app.close());
  tell({ type: 'ready' });
}

void main(process.argv[2] ?? 'nobody');
