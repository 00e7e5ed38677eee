import type { ClientConfig } from 'pg';
import * as v from 'valibot';
import {
  FILTER_OPTIONS,
  batch,
  buffer,
  deadLetters,
  heartbeat,
  poll,
  reconnect,
  retry,
} from './option-groups.js';
import {
  callback,
  group,
  milliseconds,
  nonEmptyString,
  optional,
  timeLimit,
  valueOf,
  wholeNumber,
  type CheckedOptions,
  type GivenOptions,
} from './parse.js';
import type { SqlExecutor } from './sql-executor.js';

export { HEARTBEAT_DEFAULTS } from './option-groups.js';
export type {
  BatchOptions,
  BufferOptions,
  DeadLetterOptions,
  HeartbeatOptions,
  PollOptions,
  ReconnectOptions,
  RetryOptions,
} from './option-groups.js';

export const DEFAULT_NAME = 'default';

/** The options that are given beside `useFactory` in `forRootAsync()`. */
export const EXTRA_OPTIONS = {
  /**
   * Name of this instance, as in `@InjectPubSub(name)` and in `instance` of decorators.
   *
   * @defaultValue `'default'`
   */
  name: optional(nonEmptyString, DEFAULT_NAME),
  /**
   * Name of the TypeORM DataSource, as in `TypeOrmModule.forRoot({ name })`.
   *
   * @defaultValue the default one
   */
  dataSource: optional(nonEmptyString),
  /**
   * Whether every module can inject `PubSubService` without importing this module.
   *
   * @defaultValue `true`
   */
  isGlobal: optional(v.boolean(), true),
};

/** Options outside of the factory, because they decide which tokens are provided. */
export interface PgPubSubExtras extends GivenOptions<typeof EXTRA_OPTIONS> {}

const isConnection = (value: unknown): boolean =>
  (typeof value === 'string' && value !== '') ||
  (typeof value === 'object' && value !== null && !Array.isArray(value));

const isListen = (value: unknown): boolean => typeof value === 'boolean' || Array.isArray(value);

export const MODULE_OPTIONS = {
  /**
   * Where the LISTEN connection goes, for example past a transaction pooler. A URL (`postgres://…`,
   * or a socket's path) replaces the DataSource's settings; an object replaces those that it names.
   *
   * @defaultValue the DataSource's
   * @remarks The `application_name` of the connection is that of the application, followed by
   * `:listen`.
   */
  connection: optional(
    valueOf<string | ClientConfig>(
      isConnection,
      'a URL or a configuration of pg.Client',
      'URL, or configuration of `pg.Client`',
    ),
  ),
  /**
   * Which listeners run in this process: all, none, or those of the listed channels (names,
   * definitions, entities; one without a listener is an error). `false` opens no LISTEN connection
   * until `observe()` or `listen()` need one.
   *
   * @defaultValue `true`
   */
  listen: optional(
    valueOf<boolean | readonly (string | { readonly name: string })[]>(
      isListen,
      'true, false or a list of channels',
      'true, false, list of channels',
    ),
    true,
  ),
  /**
   * Schema of the library's tables and functions; the same as in `withPgPubSub()`.
   *
   * @defaultValue the DataSource's
   */
  schema: optional(nonEmptyString),
  /**
   * The role that owns the library's objects. Objects of other roles are never used.
   *
   * @defaultValue the owner of the migrations table, or the DataSource's role
   */
  role: optional(nonEmptyString),
  /**
   * Development only: whether start-up creates, changes and drops the library's triggers, tables
   * and functions.
   *
   * @defaultValue `false`
   * @remarks TypeORM's option `synchronize` does the same with entities.
   */
  synchronize: optional(v.boolean(), false),
  /**
   * Whether start-up compares declared triggers and tables with the database, and fails or warns if
   * they differ.
   *
   * @defaultValue `'error'`
   * @remarks Unless `false`, changes that intact triggers miss are logged as warnings, too.
   */
  verifySchema: optional(
    v.union([v.picklist(['error', 'warn']), v.literal(false)], '"error", "warn" or false'),
    'error',
  ),
  /** How the LISTEN connection is reopened. */
  reconnect: optional(reconnect, {}),
  /**
   * How the LISTEN connection is tested. `false`: not at all, so that serverless databases can
   * sleep; TCP keep-alive then detects dead links, after minutes.
   *
   * @defaultValue on
   */
  heartbeat: optional(heartbeat, {}),
  /** The polling intervals of exactly-once channels. */
  poll: optional(poll, {}),
  /**
   * Exactly-once: number of claims at once, at most the pool's size. Each takes a connection of the
   * DataSource's pool.
   *
   * @defaultValue 4, and at most half of the pool
   * @remarks The rest of the application needs the pool, too. The start-up log says the number.
   */
  concurrency: optional(wholeNumber(1)),
  /** Exactly-once: the size of a claim. */
  batch: optional(batch, {}),
  /** Exactly-once: how failures are retried; a channel or listener can override it. */
  retry: optional(retry, {}),
  /**
   * Exactly-once: time limit for one call of a handler (`batch`: one call); see
   * docs/stored-notifications.md. `false`: none; a handler that hangs keeps its claim.
   *
   * @defaultValue `60_000`
   * @remarks A channel or listener can override it. At the deadline `signal` is aborted, the
   * running statement is cancelled on the server, the writes of the handler are undone, and it has
   * failed with `HANDLER_TIMEOUT`.
   */
  timeoutMs: optional(timeLimit(1), 60_000),
  /** Exactly-once: how long dead letters are kept; a channel can override it. */
  deadLetters: optional(deadLetters, {}),
  /**
   * Exactly-once: time after which the server ends claims of a process that no longer answers.
   * Behind a connection pooler the pooler's settings decide.
   *
   * @defaultValue `30_000`
   * @remarks Set on the connection for each claim: `tcp_user_timeout` (PostgreSQL 12 or later) and
   * `tcp_keepalives_*`. The rows of the claims are then free again.
   */
  deadPeerTimeoutMs: optional(milliseconds(1_000), 30_000),
  /** The limit on broadcasts that wait for a slow listener or iterator. */
  buffer: optional(buffer, {}),
  /**
   * Time for running handlers when the application closes; then `notification.signal` is aborted
   * and their claims are given up.
   *
   * @defaultValue `10_000`
   */
  shutdownTimeoutMs: optional(milliseconds(), 10_000),
  /**
   * Whether global guards, pipes, interceptors and filters run for notifications, too; see
   * docs/nest.md.
   *
   * @defaultValue `false`
   * @remarks Most are written for HTTP. Enhancers on the class or method of a listener always run.
   * While the option is not set, the start-up log names the global enhancers that do not run.
   */
  globalEnhancers: optional(v.boolean()),
  /**
   * Returns `notification.context`; called for each notification, transaction and writing
   * statement.
   *
   * @defaultValue none
   * @remarks The context of table changes comes from here, too.
   */
  context: optional(callback<() => object>('function that returns an object')),
  /**
   * Whether notifications carry the sender's trace context (W3C `traceparent`). `false` keeps
   * broadcasts plain JSON; see docs/events.md.
   *
   * @defaultValue `true`
   * @remarks Only where an OpenTelemetry SDK is registered and the span is sampled. The span of a
   * listener is linked to that of the sender. A broadcast with a context is not plain JSON on the
   * wire.
   */
  traceContext: optional(v.boolean(), true),
  /**
   * Returns the current transaction, or `undefined`, for `notify()` without `manager`; see
   * docs/nest.md.
   *
   * @defaultValue none
   * @remarks For libraries that do not patch the DataSource. With `@nestjs-cls/transactional`:
   * `() => txHost.tx`.
   */
  executor: optional(
    callback<() => SqlExecutor | undefined>('function that returns an object with `query()`'),
  ),
  /**
   * Stored notifications whose context does not contain this object are left to other processes.
   *
   * @defaultValue none
   */
  filter: optional(group(FILTER_OPTIONS)),
};

/** Options of `PgPubSubModule.forRoot()`; all are optional. */
export interface PgPubSubOptions extends GivenOptions<typeof MODULE_OPTIONS> {}

/** The options of one instance, complete and frozen: inner code never fills in a default. */
export interface ResolvedOptions extends CheckedOptions<typeof MODULE_OPTIONS> {
  readonly name: string;
}
