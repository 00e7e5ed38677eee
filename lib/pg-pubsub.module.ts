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

/** The token of an instance's service: `PubSubService` itself for the default one. */
export function getPubSubToken(name: string = DEFAULT_NAME): typeof PubSubService | string {
  return isDefaultName(name) ? PubSubService : namedPubSubToken(name);
}

/** Injects the service of a named instance: `@InjectPubSub('reporting') private readonly pubsub: PubSubService`. */
export const InjectPubSub = (name?: string): ParameterDecorator & PropertyDecorator =>
  Inject(getPubSubToken(name));

/** The name under which the builder provides the options as they were given: derived by it from `moduleName`. */
const GIVEN_OPTIONS = 'PG_PUB_SUB_MODULE_OPTIONS';

const { ConfigurableModuleClass, OPTIONS_TYPE, ASYNC_OPTIONS_TYPE } =
  new ConfigurableModuleBuilder<PgPubSubOptions>({
    moduleName: 'PgPubSub',
    optionsInjectionToken: GIVEN_OPTIONS,
  })
    .setClassMethodName('forRoot')
    .setExtras<PgPubSubExtras>({ isGlobal: true, name: DEFAULT_NAME, dataSource: DEFAULT_NAME }, addInstance)
    .build();

/** The providers of one instance, beside the one of its options. */
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
    { provide: token, useClass: PubSubService }, // under this one only: `app.get(PubSubService)` takes the last there is
  ];
  return { ...definition, global: isGlobal ?? true, providers, exports: [token] };
}

const dataSourceToken = (name: string | undefined) =>
  name === undefined || isDefaultName(name) ? DataSource : namedDataSourceToken(name);

/** Late, because Nest 11 takes a DataSource that fails to connect for a missing one: its own error comes first. */
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
 * Publish and subscribe through the application's own PostgreSQL:
 *
 * ```ts
 * @Module({ imports: [TypeOrmModule.forRoot({ type: 'postgres' }), PgPubSubModule.forRoot()] })
 * export class AppModule {}
 * ```
 */
@Module({ imports: [DiscoveryModule] })
export class PgPubSubModule extends ConfigurableModuleClass {
  /** Options at hand; without any, the application's default DataSource is used as it is. */
  static override forRoot(options: typeof OPTIONS_TYPE = {}): DynamicModule {
    return super.forRoot(options);
  }

  /**
   * Options from elsewhere: `useFactory` (with `inject`), `useClass` or `useExisting` (with a method `create()`).
   * `name`, `dataSource` and `isGlobal` stand beside them.
   */
  static override forRootAsync(options: typeof ASYNC_OPTIONS_TYPE): DynamicModule {
    return super.forRootAsync(options);
  }

  /** Makes channels known by name in a process that only publishes them; `instance` is the name of their instance. */
  static forFeature(channels: readonly ChannelLike[], instance: string = DEFAULT_NAME): DynamicModule {
    if (!Array.isArray(channels)) throw notAList(channels);
    const feature = new ChannelFeature(channels as readonly ChannelLike[], instance);
    return { module: PgPubSubModule, providers: [{ provide: ChannelFeature, useValue: feature }] };
  }
}

const notAList = (got: unknown) =>
  new PgPubSubError(
    'INVALID_CHANNEL',
    `expected PgPubSubModule.forFeature() to get a list of channels, got ${describeValue(got)}. Put it into [ ].`,
  );
