import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TerminusModule } from '@nestjs/terminus';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PgPubSubModule } from 'nestjs-pgpubsub';
import { PgPubSubHealthIndicator } from 'nestjs-pgpubsub/terminus';
import { Greeter } from './greeter.js';
import { tell } from './greeting.js';
import { rehearse } from './rehearsal.js';
import { Witness } from './witness.js';

@Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url: process.env['DATABASE_URL'] ?? '', retryAttempts: 0 }),
    TerminusModule,
    PgPubSubModule.forRootAsync({ useFactory: () => ({ context: () => ({ process: process.pid }) }) }),
  ],
  providers: [Greeter, Witness, PgPubSubHealthIndicator],
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
  const { pubsub } = await app.get(PgPubSubHealthIndicator).check('pubsub');
  if (pubsub.status !== 'up') throw new Error(`expected to be up, got ${JSON.stringify(pubsub)}`);
  await rehearse();
  tell({ type: 'ready' });
}

void main(process.argv[2] ?? 'nobody');
