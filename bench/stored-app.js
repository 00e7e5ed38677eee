// @ts-check
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Listener, PgPubSubModule, PubSubService, defineChannel } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { ours } from './peers.js';

/**
 * Starts a Nest application with one exactly-once channel, and its listener if `handle` is given.
 * @param {string} url
 * @param {{ channel: string, module?: object, listener?: object, handle?: import('./queues.js').Handle, poolSize?: number }} options
 */
export async function startStoredApp(
  url,
  { channel: name, module = {}, listener = {}, handle, poolSize = ours.poolSize },
) {
  const channel = defineChannel(name, { delivery: 'exactly-once' });
  class Receiver {
    /** @param {any} payload @param {any} notification all of a claim with `batch: true` */
    onNotification(payload, notification) {
      const ids = Array.isArray(payload) ? payload.map(({ id }) => id) : [payload.id];
      return handle?.(ids, (sql, parameters) => notification.manager.query(sql, parameters));
    }
  }
  const method = /** @type {PropertyDescriptor} */ (
    Object.getOwnPropertyDescriptor(Receiver.prototype, 'onNotification')
  );
  Listener(channel, listener)(Receiver.prototype, 'onNotification', method);

  class AppModule {}
  Module({
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres', url, poolSize }),
      PgPubSubModule.forRoot({ synchronize: true, listen: handle !== undefined, ...module }),
      PgPubSubModule.forFeature([channel]),
    ],
    providers: [Receiver],
  })(AppModule);
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
  return {
    channel,
    pubsub: app.get(PubSubService),
    dataSource: app.get(DataSource),
    close: () => app.close(),
  };
}
