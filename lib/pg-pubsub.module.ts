import { setImmediate as turn } from 'node:timers/promises';
import {
  ConfigurableModuleBuilder,
  Inject,
  Logger,
  Module,
  type DynamicModule,
  type Provider,
} from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { DataSource } from 'typeorm';
import type { ChannelLike } from './channels/channel.registry.js';
import { PgPubSubError, describeValue } from './common/errors.js';
import {
  DEFAULT_NAME,
  type PgPubSubExtras,
  type PgPubSubOptions,
  type ResolvedOptions,
} from './common/options.js';
import { resolveOptions } from './common/options.resolver.js';
import {
  DATA_SOURCE,
  INSTANCE,
  RESOLVED_OPTIONS,
  isDefaultName,
  namedDataSourceToken,
  namedPubSubToken,
} from './common/tokens.js';
import { ChannelFeature } from './instance/channel-feature.js';
import { Instance } from './instance/instance.js';
import { PubSubLifecycle } from './instance/nest.lifecycle.js';
import { ListenerExplorer } from './listeners/listener.explorer.js';
import { PubSubService } from './pubsub.service.js';

/**
 * Returns the injection token of an instance's service: the class `PubSubService` for the default
 * instance, a string for a named one. Use it with `app.get()` and in tests.
 */
export function getPubSubToken(name: string = DEFAULT_NAME): typeof PubSubService | string {
  return isDefaultName(name) ? PubSubService : namedPubSubToken(name);
}

/**
 * Injects the service of a named instance: `@InjectPubSub('reporting') pubsub: PubSubService`.
 * Without a name, injects the service of the default instance.
 */
export const InjectPubSub = (name?: string): ParameterDecorator & PropertyDecorator =>
  Inject(getPubSubToken(name));

/** The token of the options as given; the builder derives the same text from `moduleName`. */
const GIVEN_OPTIONS = 'PG_PUB_SUB_MODULE_OPTIONS';

const { ConfigurableModuleClass, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<PgPubSubOptions>({
    moduleName: 'PgPubSub',
    optionsInjectionToken: GIVEN_OPTIONS,
  })
    .setClassMethodName('forRoot')
    .setExtras<PgPubSubExtras>({ isGlobal: true, name: DEFAULT_NAME, dataSource: DEFAULT_NAME }, addInstance)
    .build();

function addInstance(
  definition: DynamicModule,
  { name, dataSource, isGlobal }: PgPubSubExtras,
): DynamicModule {
  const extras = { name, dataSource, isGlobal } as PgPubSubExtras; // forRoot() passes all of its options here
  const token = getPubSubToken(name);
  const providers: Provider[] = [
    ...(definition.providers ?? []),
    {
      provide: RESOLVED_OPTIONS,
      useFactory: (given: PgPubSubOptions) => resolveOptions(given, extras),
      inject: [GIVEN_OPTIONS],
    },
    {
      provide: DATA_SOURCE,
      useFactory: async (found?: DataSource) => found ?? Promise.reject(await missingDataSource(dataSource)),
      inject: [{ token: dataSourceToken(dataSource), optional: true }],
    },
    { provide: INSTANCE, useFactory: createInstance, inject: [RESOLVED_OPTIONS, DATA_SOURCE] },
    ListenerExplorer,
    PubSubLifecycle,
    { provide: token, useClass: PubSubService }, // not also under its class: `app.get(PubSubService)` returns the last one registered
  ];
  return { ...definition, global: isGlobal ?? true, providers, exports: [token] };
}

const dataSourceToken = (name: string | undefined) =>
  name === undefined || isDefaultName(name) ? DataSource : namedDataSourceToken(name);

/**
 * Waits one turn, so that the error of a DataSource that fails to connect comes first: Nest 11 then
 * treats it as missing.
 */
async function missingDataSource(name: string | undefined): Promise<PgPubSubError> {
  await turn();
  const isDefault = name === undefined || isDefaultName(name);
  const option = isDefault ? '' : `name: '${name}', `;
  return new PgPubSubError(
    'DATA_SOURCE_UNUSABLE',
    `expected ${isDefault ? 'a TypeORM DataSource' : `the TypeORM DataSource "${name}"`} among the providers of the application, got none. ` +
      `Import TypeOrmModule.forRoot({ ${option}type: 'postgres', … }) of @nestjs/typeorm, or name another one with the option "dataSource".`,
  );
}

const createInstance = (options: ResolvedOptions, dataSource: DataSource) =>
  new Instance(
    options,
    dataSource,
    new Logger(isDefaultName(options.name) ? 'PgPubSub' : `PgPubSub:${options.name}`),
  );

/**
 * The module for publishing and subscribing through the application's own PostgreSQL. Global by
 * default, so one import is enough:
 *
 * ```ts
 * @Module({ imports: [TypeOrmModule.forRoot({ type: 'postgres' }), PgPubSubModule.forRoot()] })
 * export class AppModule {}
 * ```
 *
 * An error in the configuration rejects the start of the application: `INVALID_OPTIONS`,
 * `DUPLICATE_INSTANCE`, `UNKNOWN_INSTANCE`, `DATA_SOURCE_UNUSABLE`, `SCHEMA_DRIFTED` (a declared
 * trigger or table is missing or differs) or `CONNECT_FAILED` (the first LISTEN connection).
 * `docs/errors.md` has the cause and remedy of each.
 */
@Module({ imports: [DiscoveryModule] })
export class PgPubSubModule extends ConfigurableModuleClass {
  /**
   * Registers an instance with these options. Its DataSource is the application's default one,
   * unless the option `dataSource` names another.
   */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    return super.forRoot(options);
  }

  /**
   * Registers an instance with options from `useFactory` (with `inject`), `useClass` or
   * `useExisting` (a class with a method `create()`). `name`, `dataSource` and `isGlobal` are given
   * beside them, not returned by the factory.
   */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return super.forRootAsync(options);
  }

  /**
   * Makes channels known by name in a process that only publishes them, so that `notify('name')`
   * finds their definitions. `instance` is the name of the instance that they belong to; the start
   * rejects with `UNKNOWN_INSTANCE` if there is none. Throws `INVALID_CHANNEL` if `channels` is not
   * an array.
   */
  static forFeature(channels: readonly ChannelLike[], instance: string = DEFAULT_NAME): DynamicModule {
    if (!Array.isArray(channels)) throw notAList(channels);
    const feature = new ChannelFeature(channels as readonly ChannelLike[], instance);
    return { module: PgPubSubModule, providers: [{ provide: ChannelFeature, useValue: feature }] };
  }
}

const notAList = (got: unknown) =>
  new PgPubSubError(
    'INVALID_CHANNEL',
    `expected the channels of PgPubSubModule.forFeature() in an array, got ${describeValue(got)}. Put them into [ ].`,
  );
