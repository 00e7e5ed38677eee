import type { ClientConfig } from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';
import type { DataSource, DataSourceOptions } from 'typeorm';
import { PgPubSubError, messageOf } from '../common/errors.js';

type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>;

/** Lets the operating system detect a dead peer, too: without notifications, no data flows. */
const KEPT_ALIVE = { keepAlive: true, keepAliveInitialDelayMillis: 10_000 } as const;

/** PostgreSQL truncates longer application names (NAMEDATALEN - 1). */
const MAX_APPLICATION_NAME_BYTES = 63;

/** Settings in TypeORM's `extra` for its pool or single queries, unfit for a waiting session. */
const POOL_SETTINGS = [
  'max', 'min', 'idleTimeoutMillis', 'allowExitOnIdle', 'maxUses', 'maxLifetimeSeconds', 'onConnect', 'Client', 'log',
  'pipeline', 'query_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout',
]; // prettier-ignore

/** Returns the DataSource's options. Throws `DATA_SOURCE_UNUSABLE` if LISTEN cannot use it. */
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
    const remedy =
      'Call dataSource.initialize() before the application starts, or remove manualInitialization.';
    throw unusable('an initialized DataSource', 'one that is not', remedy);
  }
  return options;
}

const unusable = (expected: string, got: string, remedy: string) =>
  new PgPubSubError('DATA_SOURCE_UNUSABLE', `expected ${expected}, got ${got}. ${remedy}`);

/** Returns `CONNECT_FAILED`. `isDirected`: the address comes from the option `connection`. */
export const connectFailed = (cause: unknown, isDirected: boolean): PgPubSubError =>
  new PgPubSubError(
    'CONNECT_FAILED',
    `expected the LISTEN connection to open, got: ${messageOf(cause)}. ` +
      (isDirected
        ? 'The address comes from the option "connection": correct it, or remove it to use the settings of the DataSource.'
        : 'The address comes from the DataSource: correct it, or set the option "connection" if the two must differ.'),
    { cause },
  );

/**
 * Returns the configuration of a connection of the library's own: that of the DataSource's pool
 * (its primary, with replication: a standby rejects LISTEN), changed by the option `connection`.
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

/** Maps options as TypeORM's `PostgresDriver.createPool()` does, but splits the URL. */
function poolConfig(options: PostgresOptions): { config: ClientConfig; applicationName: string } {
  const credentials = options.replication?.master ?? options;
  const extra = { ...(options.extra as ClientConfig | undefined) }; // typed `any` by TypeORM: options of pg
  for (const setting of POOL_SETTINGS) Reflect.deleteProperty(extra, setting);
  const config = definedProperties<ClientConfig>({
    host: credentials.host,
    port: credentials.port,
    user: credentials.username,
    password: credentials.password,
    database: credentials.database,
    ssl: credentials.ssl as ClientConfig['ssl'], // TypeORM passes the declared server options to pg unchanged
    application_name: options.applicationName ?? credentials.applicationName,
    ...(credentials.url && parseIntoClientConfig(credentials.url)),
    ...extra,
  });
  return { config, applicationName: config.application_name ?? 'nest' };
}

/** Returns the application name of the pool's connections. */
export const applicationNameOf = (options: PostgresOptions): string => poolConfig(options).applicationName;

/** Removes properties that are undefined: pg takes them for values. */
function definedProperties<T extends object>(object: T): T {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T; // a subset of T's optional properties
}

/** Appends a suffix, which operators search for, and shortens a long application name. */
function nameOf(applicationName: string, suffix: string): string {
  let name = applicationName;
  while (Buffer.byteLength(name + suffix) > MAX_APPLICATION_NAME_BYTES)
    name = Array.from(name).slice(0, -1).join('');
  return name + suffix;
}
