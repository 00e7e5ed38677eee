import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { PgPubSubHealthIndicator } from 'nestjs-pgpubsub/terminus';
import { AppModule } from './app.module.js';
import { Greeter } from './greeter.js';
import { report } from './greeting.js';
import { rehearse } from './rehearsal.js';

/**
 * Greets on request of the test, and closes when the test disconnects or ends. The process ends
 * without `process.exit()`, so that handles which the library leaves open are detected.
 */
async function main(name: string): Promise<void> {
  const app = await NestFactory.createApplicationContext(AppModule, {
    logger: ['error', 'warn'],
    abortOnError: false,
  });
  process.on('message', () => void app.get(Greeter).greet(name));
  process.once('disconnect', () => void app.close());
  const { pubsub } = await app.get(PgPubSubHealthIndicator).check('pubsub');
  if (pubsub.status !== 'up') throw new Error(`the health indicator is not up: ${JSON.stringify(pubsub)}`);
  await rehearse();
  report({ type: 'ready' });
}

void main(process.argv[2] ?? 'nobody');
