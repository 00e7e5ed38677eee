import {
  Injectable,
  Module,
  type OnApplicationBootstrap,
  type OnModuleInit,
  type Type,
} from '@nestjs/common';
import { LazyModuleLoader, NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Listener, PgPubSubModule, PubSubService, defineChannel } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { afterEach, describe, expect, it } from 'vitest';
import { collector } from '../../support/listeners.js';
import { Mailbox } from '../../support/mailbox.js';
import { Effect, useStored } from '../../support/stored.js';

const { start, query, database, waiting } = useStored();
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect'));

const Orders = defineChannel<number>('orders', { delivery: 'exactly-once' });

const storeOne = () => query(`select pgpubsub_notify('orders', '1')`);

/** A provider whose bootstrap hook is `hook`. */
function bootstrapping(hook: (pubsub: PubSubService) => Promise<void>): Type {
  @Injectable()
  class Bootstrapping implements OnApplicationBootstrap {
    constructor(private readonly pubsub: PubSubService) {}
    onApplicationBootstrap = () => hook(this.pubsub);
  }
  Reflect.defineMetadata('design:paramtypes', [PubSubService], Bootstrapping);
  return Bootstrapping;
}

const fail = () => Promise.reject(new Error('this provider cannot start'));

describe('the start of an application', () => {
  it('claims after the bootstrap hook of every other provider', async () => {
    await storeOne();
    const log = new Mailbox<string>();
    class Orderly {
      @Listener(Orders)
      handle() {
        log.push('handled');
      }
    }
    const slow = bootstrapping(async (pubsub) => {
      for (let round = 0; round < 100; round++) await pubsub.stored.count({ channel: Orders });
      log.push('hook ended');
    });
    await using _app = await start({ providers: [Orderly, slow] });
    expect([await log.next(), await log.next()]).toEqual(['hook ended', 'handled']);
  });

  it('claims nothing when another provider fails', async () => {
    await storeOne();
    const failed = collector(Orders);
    await expect(start({ providers: [failed.provider, bootstrapping(fail)] })).rejects.toThrow(
      'cannot start',
    );
    const healthy = collector(Orders);
    await using _app = await start({ providers: [healthy.provider] });
    await healthy.received.next();
    expect(failed.received.all).toEqual([]);
  });

  it('claims nothing when the hook of the root module fails, which Nest calls last', async () => {
    await storeOne();
    const { provider, received } = collector(Orders);
    @Module({
      imports: [
        TypeOrmModule.forRoot({ type: 'postgres', url: database.url, entities: [Effect] }),
        PgPubSubModule.forRoot(),
      ],
      providers: [provider],
    })
    class AppModule implements OnApplicationBootstrap {
      static dataSource: DataSource;
      static hook: () => Promise<void>;
      constructor(dataSource: DataSource) {
        AppModule.dataSource = dataSource;
      }
      onApplicationBootstrap = () => AppModule.hook();
    }
    Reflect.defineMetadata('design:paramtypes', [DataSource], AppModule);
    const create = () =>
      NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });

    AppModule.hook = fail;
    await expect(create()).rejects.toThrow('cannot start');
    await AppModule.dataSource.destroy();
    expect(received.all).toEqual([]);
    expect(await waiting(Orders)).toHaveLength(1);

    AppModule.hook = () => Promise.resolve();
    const app = await create();
    await received.next();
    await app.close();
  });

  it('handles the backlog in a bootstrap hook that calls recover()', async () => {
    await storeOne();
    const { provider, received } = collector(Orders);
    let recovered: unknown;
    const hook = bootstrapping(async (pubsub) => {
      recovered = await pubsub.recover();
    });
    await using _app = await start({ providers: [provider, hook] });
    expect(recovered).toEqual({ handled: 1, failed: 0 });
    expect(received.all).toHaveLength(1);
  });

  it('claims nothing after a recover() in a hook that fails', async () => {
    const failed = collector(Orders);
    const hook = bootstrapping(async (pubsub) => {
      await pubsub.recover();
      throw new Error('this provider cannot start');
    });
    const options = { poll: { intervalMs: 20, deafIntervalMs: 20 } };
    await expect(start({ providers: [failed.provider, hook], options })).rejects.toThrow('cannot start');
    await storeOne();
    const healthy = collector(Orders);
    await using _app = await start({ providers: [healthy.provider] });
    await healthy.received.next();
    expect(failed.received.all).toEqual([]);
  });

  it('claims in an application that loads a module lazily in a hook', async () => {
    await storeOne();
    @Module({})
    class Lazy {}
    @Injectable()
    class Loader implements OnModuleInit {
      constructor(private readonly lazyModules: LazyModuleLoader) {}
      async onModuleInit() {
        await this.lazyModules.load(() => Lazy);
      }
    }
    Reflect.defineMetadata('design:paramtypes', [LazyModuleLoader], Loader);
    const { provider, received } = collector(Orders);
    await using _app = await start({ providers: [provider, Loader] });
    await received.next();
  });

  it('claims nothing after a pause() in onModuleInit()', async () => {
    await storeOne();
    @Injectable()
    class Pausing implements OnModuleInit {
      constructor(private readonly pubsub: PubSubService) {}
      onModuleInit = () => this.pubsub.pause();
    }
    Reflect.defineMetadata('design:paramtypes', [PubSubService], Pausing);
    const { provider, received } = collector(Orders);
    await using app = await start({ providers: [provider, Pausing] });
    expect(await app.pubsub.recover()).toEqual({ handled: 0, failed: 0 });
    await app.pubsub.resume();
    await received.next();
  });
});
