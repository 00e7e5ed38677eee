import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PgPubSubModule, PubSubService } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { providers, releaseHandler, settings } from './listeners.js';
import { tell, type Command } from './messages.js';
import { Author, Tasks, entities } from './storage.js';

/** A process that handles stored notifications; see `Settings` and `Command`. */

@Module({
  imports: [
    TypeOrmModule.forRoot({
      type: 'postgres',
      url: process.env['DATABASE_URL'] ?? '',
      applicationName: settings.name,
      entities,
    }),
    PgPubSubModule.forRoot({ reconnect: { minDelayMs: 20, maxDelayMs: 200 }, ...settings.options }),
  ],
  providers,
})
class AppModule {}

process.on('message', (command: Command) => void run(command));
const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
const pubsub = app.get(PubSubService);
const dataSource = app.get(DataSource);
pubsub.connection$.subscribe((state) => tell({ type: 'state', state }));
tell({ type: 'ready' });

async function run(command: Command): Promise<void> {
  switch (command.type) {
    case 'notify': {
      const { channel, count, bytes } = command;
      const text = bytes === undefined ? {} : { text: 'x'.repeat(bytes) };
      await pubsub.notifyMany(
        channel,
        Array.from({ length: count }, () => ({ n: 1, ...text })),
      );
      return tell({ type: 'sent' });
    }
    case 'rollBack':
      await dataSource
        .transaction(async (manager) => {
          await pubsub.notify(Tasks, { n: 1 }, { manager });
          await manager.insert(Author, { name: 'nobody' });
          throw new Error('undone');
        })
        .catch(() => tell({ type: 'sent' }));
      return;
    case 'release':
      return releaseHandler();
    case 'close':
      await app.close();
      return tell({ type: 'closed' });
    default:
      return command satisfies never;
  }
}
