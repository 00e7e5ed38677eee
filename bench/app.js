// @ts-check
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Listener, PgPubSubModule, PubSubService } from 'nestjs-pgpubsub';

/**
 * Starts a Nest application with one static listener, which calls `receive`.
 * @param {string} url
 * @param {(payload: any) => void} [receive]
 * @param {object} [options] the options of the module
 * @param {string} [channel]
 */
export async function startApp(url, receive, options = {}, channel = 'bench') {
  class Receiver {
    /** @param {unknown} payload */
    onNotification(payload) {
      receive?.(payload);
    }
  }
  const method = /** @type {PropertyDescriptor} */ (
    Object.getOwnPropertyDescriptor(Receiver.prototype, 'onNotification')
  );
  Listener(channel)(Receiver.prototype, 'onNotification', method);

  class AppModule {}
  const listen = receive !== undefined;
  Module({
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres', url, poolSize: 10 }),
      PgPubSubModule.forRoot({ listen, ...options }),
    ],
    providers: [Receiver],
  })(AppModule);
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
  return { pubsub: app.get(PubSubService), close: () => app.close() };
}
