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

/** The options that stand beside `useFactory` in `forRootAsync()`. */
export const EXTRA_OPTIONS = {
  /**
   * Name of this instance, for applications with several databases: `@InjectPubSub(name)`, and `instance` of the decorators.
   *
   * @defaultValue `'default'`
   */
  name: optional(nonEmptyString, DEFAULT_NAME),
  /**
   * Name of the TypeORM DataSource to use, as given to `TypeOrmModule.forRoot({ name })`.
   *
   * @defaultValue the default one
   */
  dataSource: optional(nonEmptyString),
  /**
   * Whether `PubSubService` can be injected in every module without importing this one.
   *
   * @defaultValue `true`
   */
  isGlobal: optional(v.boolean(), true),
};

/** Given beside `useFactory` with `forRootAsync`, because they decide what is provided under which token. */
export interface PgPubSubExtras extends GivenOptions<typeof EXTRA_OPTIONS> {}

const isConnection = (value: unknown): boolean =>
  (typeof value === 'string' && value !== '') ||
  (typeof value === 'object' && value !== null && !Array.isArray(value));

const isListen = (value: unknown): boolean => typeof value === 'boolean' || Array.isArray(value);

export const MODULE_OPTIONS = {
  /**
   * Where the LISTEN connection goes, when that must differ from the DataSource: a direct URL beside a transaction pooler, another
   * role. A URL (`postgres://…`, or the path of a socket) replaces everything; an object replaces what it names. The
   * `application_name` is the application's and `:listen`.
   *
   * @defaultValue the DataSource's
   */
  connection: optional(
    valueOf<string | ClientConfig>(
      isConnection,
      'a URL or a configuration of pg.Client',
      'URL, or configuration of `pg.Client`',
    ),
  ),
  /**
   * The listeners that run in this process. `true`: all. `false`: none; this process only publishes, and opens no LISTEN connection
   * until `observe()` or `listen()` need one. A list of channels (names, definitions, entities): only theirs; a channel without a
   * listener is an error.
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
   * Schema of the library's own tables and functions. Where `withPgPubSub()` was given one, it must be the same.
   *
   * @defaultValue the DataSource's
   */
  schema: optional(nonEmptyString),
  /**
   * The role that owns the library's objects in the database, where it is not the default. Objects of other roles are never used.
   *
   * @defaultValue the owner of the migrations table, or the DataSource's role
   */
  role: optional(nonEmptyString),
  /**
   * Development only: whether the library's triggers, tables and functions are created, changed and dropped at start-up, as
   * TypeORM's `synchronize` does with entities.
   *
   * @defaultValue `false`
   */
  synchronize: optional(v.boolean(), false),
  /**
   * Whether declared triggers and tables are compared with the database at start-up: stop with an error, log a warning, or do not
   * compare. Changes that triggers miss although they are as declared are logged as warnings, unless this is `false`.
   *
   * @defaultValue `'error'`
   */
  verifySchema: optional(
    v.union([v.picklist(['error', 'warn']), v.literal(false)], '"error", "warn" or false'),
    'error',
  ),
  /** How the LISTEN connection comes back. */
  reconnect: optional(reconnect, {}),
  /**
   * How the LISTEN connection proves that it is alive. `false`: not at all, for serverless databases, which a heartbeat would keep
   * awake; a link that dies silently is then noticed by TCP keep-alive only, after minutes.
   *
   * @defaultValue on
   */
  heartbeat: optional(heartbeat, {}),
  /** How often exactly-once channels look for work without a hint. */
  poll: optional(poll, {}),
  /**
   * Exactly-once: the number of claims that this process works on at once. Each takes a connection of the DataSource's pool, which
   * the rest of the application needs as well; never more than the pool has. The start-up log says how many.
   *
   * @defaultValue 4, and at most half of the pool
   */
  concurrency: optional(wholeNumber(1)),
  /** Exactly-once: how much one claim takes. */
  batch: optional(batch, {}),
  /** Exactly-once: how failures are retried; a channel or listener can override it. */
  retry: optional(retry, {}),
  /**
   * Exactly-once: how long one call of a handler may run, in milliseconds (a `batch` is one call); a channel or listener can
   * override it. At the deadline its `signal` is aborted, its statement is cancelled on the server, its writes are undone, and it
   * has failed with `HANDLER_TIMEOUT`. `false`: no limit; a handler that hangs then keeps its claim.
   *
   * @defaultValue `60_000`
   */
  timeoutMs: optional(timeLimit(1), 60_000),
  /** Exactly-once: what happens to dead letters; a channel can override it. */
  deadLetters: optional(deadLetters, {}),
  /**
   * Exactly-once: how long the server waits for a process that no longer answers, in milliseconds, before it ends the process's
   * claims and releases their rows. Set on the connection for each claim (`tcp_user_timeout`, from PostgreSQL 12 on, and
   * `tcp_keepalives_*`). Behind a connection pooler the pooler's own settings count.
   *
   * @defaultValue `30_000`
   */
  deadPeerTimeoutMs: optional(milliseconds(1_000), 30_000),
  /** Broadcasts that wait for a slow listener or iterator. */
  buffer: optional(buffer, {}),
  /**
   * How long running handlers may go on when the application closes, in milliseconds. Then their `notification.signal` is aborted
   * and their claims are given up.
   *
   * @defaultValue `10_000`
   */
  shutdownTimeoutMs: optional(milliseconds(), 10_000),
  /**
   * Whether global enhancers (`APP_GUARD`, `APP_PIPE`, `app.useGlobalInterceptors()` …) also run for notifications. Most are
   * written for HTTP. Enhancers on the listener's method or class always run. Without the option the log names at the start those that
   * do not run.
   *
   * @defaultValue `false`
   */
  globalEnhancers: optional(v.boolean()),
  /**
   * Called for every notification, transaction and writing statement sent from this process. The object that it returns travels as
   * `notification.context`, that of table changes included.
   *
   * @defaultValue none
   */
  context: optional(callback<() => object>('function that returns an object')),
  /**
   * Whether notifications carry the trace context (W3C `traceparent`) of their sender, so that the span of a listener is linked to
   * the sender's. Only where an OpenTelemetry SDK is registered and the span is sampled. A broadcast with a context is not the
   * plain JSON text of its payload: `false` where clients of other kinds read it as that.
   *
   * @defaultValue `true`
   */
  traceContext: optional(v.boolean(), true),
  /**
   * Returns the current transaction, for libraries that do not patch the DataSource (`@nestjs-cls/transactional`:
   * `() => txHost.tx`). Used by `notify()` without `manager`; `undefined` means none.
   *
   * @defaultValue none
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

/** The options of one instance, complete and frozen: inner code never looks for a default. */
export interface ResolvedOptions extends CheckedOptions<typeof MODULE_OPTIONS> {
  readonly name: string;
}
