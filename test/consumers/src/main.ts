import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { Greeter } from './greeter.js';
import { tell } from './greeting.js';

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
