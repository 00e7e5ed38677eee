import type { ClientConfig } from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';
import type { DataSource, DataSourceOptions } from 'typeorm';
import { PgPubSubError, messageOf } from '../common/errors.js';

type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>;

/** Notifications travel on an otherwise silent connection: let the operating system notice a dead peer, too. */
const KEPT_ALIVE = { keepAlive: true, keepAliveInitialDelayMillis: 10_000 } as const;

/** PostgreSQL cuts application names here (NAMEDATALEN - 1). */
const MAX_APPLICATION_NAME_BYTES = 63;

/** Settings of TypeORM's `extra` that concern its pool, or limit single queries, and not a session that waits. */
const POOL_SETTINGS = [
  'max', 'min', 'idleTimeoutMillis', 'allowExitOnIdle', 'maxUses', 'maxLifetimeSeconds', 'onConnect', 'Client', 'log',
  'pipeline', 'query_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout',
]; // prettier-ignore

/** The DataSource's options, or `DATA_SOURCE_UNUSABLE` when it is not PostgreSQL or not connected yet. */
export function assertUsable(dataSource: DataSource): PostgresOptions {
  const { options } = dataSource;
  if (options.type !== 'postgres') {
    throw unusable(
      'a DataSource of type "postgres"',
      `"${options.type}"`,
      'Name another one with the option "dataSource".',
    );
  }
  if (!dataSource.isInitialized) {
    const way =
      'Call dataSource.initialize() before the application starts, or leave out manualInitialization.';
    throw unusable('an initialized DataSource', 'one that is not', way);
  }
  return options;
}

const unusable = (expected: string, got: string, way: string) =>
  new PgPubSubError('DATA_SOURCE_UNUSABLE', `expected ${expected}, got ${got}. ${way}`);

/**
 * `CONNECT_FAILED`, with the place where the address comes from; `isDirected`: from the option
 * `connection`.
 */
export const connectFailed = (cause: unknown, isDirected: boolean): PgPubSubError =>
  new PgPubSubError(
    'CONNECT_FAILED',
    `expected the LISTEN connection to open, got: ${messageOf(cause)}. ` +
      (isDirected
        ? 'It goes where the option "connection" says: correct it, or leave it out to use the settings of the DataSource.'
        : 'It uses the settings of the DataSource; where it must differ, give the option "connection".'),
    { cause },
  );

/**
 * How a connection of the library's own reaches the server: as the DataSource's pool does (its primary, with replication:
 * a standby refuses LISTEN), changed by what the option `connection` says.
 */
export function resolveListenConfig(
  options: PostgresOptions,
  connection: string | ClientConfig | undefined,
  purpose: 'listen' | 'heartbeat' = 'listen',
): ClientConfig {
  const { config, applicationName } = poolConfig(options);
  const named = { ...KEPT_ALIVE, application_name: nameOf(applicationName, `:${purpose}`) };
  const timeout = { connectionTimeoutMillis: options.connectTimeoutMS ?? 10_000 };
  if (typeof connection === 'string') return { ...timeout, ...named, ...parseIntoClientConfig(connection) };
  const { connectionString, ...discrete } = connection ?? {};
  return {
    ...timeout,
    ...config,
    ...named,
    ...(connectionString && parseIntoClientConfig(connectionString)),
    ...definedProperties(discrete),
  };
}

/** The same mapping as TypeORM's `PostgresDriver.createPool()`, with the URL taken apart so that parts can differ. */
function poolConfig(options: PostgresOptions): { config: ClientConfig; applicationName: string } {
  const credentials = options.replication?.master ?? options;
  const extra = { ...(options.extra as ClientConfig | undefined) }; // typed `any` by TypeORM: pg's options
  for (const setting of POOL_SETTINGS) Reflect.deleteProperty(extra, setting);
  const config = definedProperties<ClientConfig>({
    host: credentials.host,
    port: credentials.port,
    user: credentials.username,
    password: credentials.password,
    database: credentials.database,
    ssl: credentials.ssl as ClientConfig['ssl'], // TypeORM declares a server's options and hands them to pg as they are
    application_name: options.applicationName ?? credentials.applicationName,
    ...(credentials.url && parseIntoClientConfig(credentials.url)),
    ...extra,
  });
  return { config, applicationName: config.application_name ?? 'nest' };
}

/** The name of the application, as the connections of its pool have it. */
export const applicationNameOf = (options: PostgresOptions): string => poolConfig(options).applicationName;

/** pg takes a property that is present but undefined for a value. */
function definedProperties<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T; // a subset of T's optional properties
}

/** The application's name and the suffix, which is what operators look for: a long name gives way. */
function nameOf(applicationName: string, suffix: string): string {
  let name = applicationName;
  while (Buffer.byteLength(name + suffix) > MAX_APPLICATION_NAME_BYTES)
    name = Array.from(name).slice(0, -1).join('');
  return name + suffix;
}
