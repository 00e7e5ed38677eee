import { Module, type DynamicModule } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { DataSource } from 'typeorm';
import type { EntityClass } from '../channels/entity-change.js';
import type { PgPubSubExtras, PgPubSubOptions } from '../common/options.js';
import { DATA_SOURCE, INSTANCE, RESOLVED_OPTIONS, isDefaultName } from '../common/tokens.js';
import { PgPubSubModule } from '../pg-pubsub.module.js';
import { createDisconnectedDataSource } from './disconnected-data-source.js';
import { PubSubTester } from './pubsub.tester.js';
import { createTestingInstance, type TestingInstance } from './testing-instance.js';

/** Options of the DataSource, which is never connected. */
export interface TestingEntities {
  /** The entities that have listeners of their changes, and those they are related to. */
  readonly entities?: readonly EntityClass[];
}

/** The part of Nest's `TestingModuleBuilder` that is used here. */
interface ModuleBuilder {
  overrideProvider(token: unknown): {
    useFactory(options: { factory: (...args: never[]) => unknown; inject?: unknown[] }): unknown;
  };
}

const createInstance = { inject: [RESOLVED_OPTIONS, DATA_SOURCE], factory: createTestingInstance };

/**
 * Replaces `PgPubSubModule` in tests without a database: the same listeners, guards, pipes, codecs,
 * schemas and buffers, with a {@link PubSubTester} in place of PostgreSQL.
 *
 * ```ts
 * const imports = [OrdersModule, PgPubSubTestingModule.forRoot()];
 * const app = await Test.createTestingModule({ imports }).compile();
 * await app.init();
 * ```
 */
@Module({ imports: [DiscoveryModule] })
export class PgPubSubTestingModule {
  /** Takes the options of `PgPubSubModule.forRoot()`; those about the database have no effect. */
  static forRoot({
    entities = [],
    ...options
  }: PgPubSubOptions & PgPubSubExtras & TestingEntities = {}): DynamicModule {
    const real = PgPubSubModule.forRoot(options);
    const exported = isDefaultName(options.name) ? [PubSubTester] : []; // for others: PubSubTester.of(app, name)
    return {
      ...real,
      module: PgPubSubTestingModule,
      providers: [
        ...(real.providers ?? []), // the last provider of a token wins
        { provide: DATA_SOURCE, useFactory: () => createDisconnectedDataSource(entities) },
        { provide: INSTANCE, inject: createInstance.inject, useFactory: createInstance.factory },
        {
          provide: PubSubTester,
          inject: [INSTANCE],
          useFactory: (instance: TestingInstance) => new PubSubTester(instance),
        },
      ],
      exports: [...(real.exports ?? []), ...exported],
    };
  }

  /**
   * Removes the database from every instance of a module that imports `PgPubSubModule.forRoot()`
   * itself, such as an `AppModule`. Replaces the default DataSource by one that is never connected;
   * override providers that query it afterwards. The tester is `PubSubTester.of(app)`.
   *
   * ```ts
   * const builder = Test.createTestingModule({ imports: [AppModule] });
   * const app = await PgPubSubTestingModule.override(builder, { entities: [Author] }).compile();
   * ```
   */
  static override<Builder extends ModuleBuilder>(
    builder: Builder,
    { entities = [] }: TestingEntities = {},
  ): Builder {
    let shared: Promise<DataSource> | undefined;
    const factory = () => (shared ??= createDisconnectedDataSource(entities));
    builder.overrideProvider(DataSource).useFactory({ factory });
    builder.overrideProvider(DATA_SOURCE).useFactory({ factory });
    builder.overrideProvider(INSTANCE).useFactory(createInstance);
    return builder;
  }
}
