import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { PgPubSubHealthIndicator } from 'nestjs-pgpubsub/terminus';
import { AppModule } from './app.module.js';
import { Greeter } from './greeter.js';
import { tell } from './greeting.js';
import { rehearse } from './rehearsal.js';

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
