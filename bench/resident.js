// @ts-check
/** A process measured from outside: `resident.js <url> <kind>`. The parent queries it by IPC. */
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { run as runWorker } from 'graphile-worker';
import { Listener, PgPubSubModule, defineChannel } from 'nestjs-pgpubsub';
import { PgBoss } from 'pg-boss';
import { barePg } from './broadcasters.js';
import * as settings from './peers.js';
import { quiet } from './queues.js';

/** @typedef {'nest' | 'pgpubsub' | 'bare-pg' | 'graphile-worker' | 'pg-boss'} Kind */
/** @typedef {{ rssMb: number, peakMb: number, cpuSeconds: number, received: number }} Usage */

const [, , url = '', kind] = process.argv;
let received = 0;
let peakMb = 0;
let expected = Infinity;

const count = () => {
  if (++received % 1_000 === 0) peakMb = Math.max(peakMb, rssMb());
  if (received === expected) answer();
};
const rssMb = () => process.memoryUsage.rss() / 1e6;

/** @type {Record<Kind, () => Promise<() => unknown>>} */
const starts = {
  nest: async () => {
    class AppModule {}
    Module({ imports: [typeorm()] })(AppModule);
    const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error'] });
    return () => app.close();
  },
  pgpubsub: async () => {
    class Receiver {
      onNotification() {
        count();
      }
    }
    const method = Object.getOwnPropertyDescriptor(Receiver.prototype, 'onNotification') ?? {};
    const stored = defineChannel('bench_resident', { delivery: 'exactly-once' });
    for (const channel of ['bench', stored]) Listener(channel)(Receiver.prototype, 'onNotification', method);
    class AppModule {}
    Module({
      imports: [typeorm(), PgPubSubModule.forRoot(settings.ours.resident)],
      providers: [Receiver],
    })(AppModule);
    const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
    return () => app.close();
  },
  'bare-pg': async () => {
    const { close } = await barePg(url, 'bench', count);
    return close;
  },
  'graphile-worker': async () => {
    const runner = await runWorker({
      preset: { worker: { connectionString: url, ...settings.graphileWorker.idle } },
      noHandleSignals: true,
      logger: quiet,
      taskList: { bench: () => {} },
    });
    return () => runner.stop();
  },
  'pg-boss': async () => {
    const { instance, queue } = settings.pgBoss.idle;
    const boss = new PgBoss({ connectionString: url, ...instance });
    await boss.start();
    await boss.createQueue('bench', queue);
    await boss.work('bench', async () => {});
    return () => boss.stop();
  },
};

const typeorm = () => TypeOrmModule.forRoot({ type: 'postgres', url, poolSize: settings.ours.poolSize });

function answer() {
  const { user, system } = process.cpuUsage();
  /** @type {Usage} */
  const usage = {
    rssMb: rssMb(),
    peakMb: Math.max(peakMb, rssMb()),
    cpuSeconds: (user + system) / 1e6,
    received,
  };
  process.send?.(usage);
}

const close = await starts[/** @type {Kind} */ (kind)]();
process.on('message', (/** @type {{ what: string, count: number }} */ { what, count: wanted }) => {
  if (what === 'reached') {
    expected = wanted;
    if (received >= expected) answer();
  } else if (what === 'usage') answer();
  else if (what === 'usage without garbage') {
    globalThis.gc?.(); // takes about 45 ms of CPU, so not while CPU is measured
    answer();
  } else void Promise.resolve(close()).then(() => process.disconnect());
});
process.on('disconnect', () => process.exit()); // requested, or the run has failed
process.send?.('ready');
