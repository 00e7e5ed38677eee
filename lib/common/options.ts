import type { ClientConfig } from 'pg';
import type { BackoffOptions } from './backoff.js';
import type { JsonObject } from './json.js';
import type { BufferLimits } from './overflow.js';
import type { SqlExecutor } from './sql-executor.js';

export const DEFAULT_NAME = 'default';

export const RECONNECT_DEFAULTS = { minDelayMs: 100, maxDelayMs: 30_000 } as const;
export const HEARTBEAT_DEFAULTS = { intervalMs: 10_000, timeoutMs: 5_000 } as const;
export const POLL_DEFAULTS = { intervalMs: 30_000, deafIntervalMs: 1_000 } as const;
export const BATCH_DEFAULTS = { maxSize: 100, maxTimeMs: 250 } as const;
export const RETRY_DEFAULTS = { maxAttempts: 10, minDelayMs: 1_000, maxDelayMs: 3_600_000 } as const;
export const BUFFER_DEFAULTS = { maxSize: 10_000, overflow: 'drop-oldest' } as const satisfies BufferLimits;

/** The other defaults; those of the groups stand above. */
export const OPTION_DEFAULTS = {
  name: DEFAULT_NAME,
  listen: true,
  synchronize: false,
  verifySchema: 'error',
  timeoutMs: 60_000,
  deadPeerTimeoutMs: 30_000,
  shutdownTimeoutMs: 10_000,
  globalEnhancers: true,
  traceContext: true,
} as const;

/** How the LISTEN connection proves that it is alive: the option `heartbeat`. */
export interface HeartbeatOptions {
  /**
   * How often the LISTEN connection proves that it is alive, in milliseconds. It bounds how long a link that died
   * silently (a firewall that forgot it, a host that vanished) goes unnoticed.
   *
   * @defaultValue `10_000`
   */
  readonly intervalMs: number;
  /**
   * How long the server may take to answer before the connection is given up and opened anew, in milliseconds. It
   * also bounds the LISTEN statements, the self-test and `pubsub.status()`.
   *
   * @defaultValue `5_000`
   */
  readonly timeoutMs: number;
}

/** How the LISTEN connection comes back: the option `reconnect`. */
export interface ReconnectOptions {
  /**
   * The longest pause before the second attempt to reopen the LISTEN connection, in milliseconds. Pauses double
   * with each attempt and are random within that bound ("full jitter").
   *
   * @defaultValue `100`
   */
  readonly minDelayMs: number;
  /**
   * The longest pause between two attempts, in milliseconds. Lower it to be back sooner after a failover; raise it
   * where many processes share one small database. Attempts never stop.
   *
   * @defaultValue `30_000`
   */
  readonly maxDelayMs: number;
}

/** How often stored channels look for work by themselves: the option `poll`. Channels with `wake: 'poll'` have `pollIntervalMs`. */
export interface PollOptions {
  /**
   * How often stored channels look for work by themselves while hints arrive, in milliseconds.
   *
   * @defaultValue `30_000`
   */
  readonly intervalMs: number;
  /**
   * The same while no hint can arrive (connection lost, or state `deaf`).
   *
   * @defaultValue `1_000`
   */
  readonly deafIntervalMs: number;
}

/** How much one claim of stored notifications takes: the option `batch`. */
export interface BatchOptions {
  /**
   * How many stored notifications one claim takes at most. Larger claims commit less often: more throughput, more
   * to repeat after a crash.
   *
   * @defaultValue `100`
   */
  readonly maxSize: number;
  /**
   * After how long a claim commits at the latest, plus the handler that is running, in milliseconds.
   *
   * @defaultValue `250`
   */
  readonly maxTimeMs: number;
}

/** How stored notifications are tried again: the option `retry`, of the module, of a channel or of a listener. */
export interface RetryOptions extends BackoffOptions {
  /**
   * How often a stored notification is tried before it becomes a dead letter.
   *
   * @defaultValue `10`
   */
  readonly maxAttempts: number;
  /**
   * The longest pause before the second attempt, in milliseconds; pauses double, with full jitter.
   *
   * @defaultValue `1_000`
   */
  readonly minDelayMs: number;
  /**
   * The longest pause between two attempts, in milliseconds.
   *
   * @defaultValue `3_600_000`
   */
  readonly maxDelayMs: number;
}

/** How many broadcasts may wait for a slow receiver: the option `buffer`. */
export interface BufferOptions extends BufferLimits {
  /**
   * How many broadcasts may wait for one slow listener or iterator. The socket is always read, so that a slow
   * receiver never holds back the server; what does not fit here is dropped, counted and reported.
   *
   * @defaultValue `10_000`
   */
  readonly maxSize: number;
  /**
   * What happens when the buffer is full. `'drop-oldest'`: the longest waiting goes (right for "look again"
   * signals, where the newest says all). `'drop-newest'`: what arrives goes. `'error'`: what arrives goes as a
   * failure, and an iterator ends with `BUFFER_OVERFLOW`.
   *
   * @defaultValue `'drop-oldest'`
   */
  readonly overflow: BufferLimits['overflow'];
}

/** Given beside `useFactory` with `forRootAsync`, because they decide what is provided under which token. */
export interface PgPubSubExtras {
  /**
   * Name of this instance, for applications with several databases; see `@InjectPubSub(name)`.
   *
   * @defaultValue `'default'`
   */
  name?: string;
  /**
   * Name of the TypeORM DataSource to use, as given to `TypeOrmModule.forRoot({ name })`. Without it the default one.
   */
  dataSource?: string;
  /**
   * Makes `PubSubService` injectable in every module without importing this one.
   *
   * @defaultValue `true`
   */
  isGlobal?: boolean;
}

/** Options of `PgPubSubModule.forRoot()`; all are optional. */
export interface PgPubSubOptions {
  /**
   * Where the LISTEN connection goes, when that must differ from the DataSource: a direct URL beside a transaction
   * pooler, another role. A URL (`postgres://…`, or the path of a socket) replaces everything; an object replaces what
   * it names. Without it everything is derived from the DataSource, and `application_name` is the application's and
   * `:listen`.
   */
  connection?: string | ClientConfig;
  /**
   * Which `@Listener` methods run in this process. `true`: all. `false`: none, this process only publishes, and
   * opens no LISTEN connection until `observe()` or `listen()` ask for one. A list of channels (names or
   * definitions): only theirs.
   *
   * @defaultValue `true`
   */
  listen?: boolean | readonly (string | { readonly name: string })[];
  /** Schema of the library's own tables and functions. Without it the DataSource's. */
  schema?: string;
  /**
   * The role that owns the library's objects in the database. Without it the owner of TypeORM's migrations table, or the role of
   * the DataSource. Objects of other roles are never used.
   */
  role?: string;
  /**
   * Development only: create what is missing at start-up, as TypeORM's `synchronize` does.
   *
   * @defaultValue `false`
   */
  synchronize?: boolean;
  /**
   * Compare declared triggers and tables with the database at start-up: stop with an error, log a warning, or do
   * not look. What triggers miss although they are as declared is logged as warnings, unless it is `false`.
   *
   * @defaultValue `'error'`
   */
  verifySchema?: 'error' | 'warn' | false;
  /** How the LISTEN connection comes back. */
  reconnect?: Partial<ReconnectOptions>;
  /**
   * How the LISTEN connection proves that it is alive; `false` for serverless databases, which a heartbeat would
   * keep awake (a link that dies silently is then noticed by TCP keep-alive only, after minutes).
   */
  heartbeat?: Partial<HeartbeatOptions> | false;
  /** How often stored channels look for work by themselves. */
  poll?: Partial<PollOptions>;
  /**
   * Stored notifications: how many claims this process works on at once. Each takes a connection of the
   * DataSource's pool, which the rest of the application needs as well. Without it 4, and at most half of the pool;
   * the start-up log says how many.
   */
  concurrency?: number;
  /** Stored notifications: how much one claim takes. */
  batch?: Partial<BatchOptions>;
  /** Stored notifications: how failures are retried; a channel or listener can override it. */
  retry?: Partial<RetryOptions>;
  /**
   * Exactly-once: how long one call of a handler may run, in milliseconds (a `batch` is one call); a channel or listener can
   * override it. At the deadline its `signal` is aborted, its statement is cancelled on the server, its writes are undone,
   * and it has failed with `HANDLER_TIMEOUT`. `false`: no limit; a handler that hangs then keeps its claim.
   *
   * @defaultValue `60_000`
   */
  timeoutMs?: number | false;
  /**
   * Exactly-once: how long the server waits for a process that no longer answers, in milliseconds, before it ends the
   * process's claims and releases their rows. Set on the connection for each claim (`tcp_user_timeout`, from PostgreSQL 12
   * on, and `tcp_keepalives_*`). Behind a connection pooler the pooler's own settings count.
   *
   * @defaultValue `30_000`
   */
  deadPeerTimeoutMs?: number;
  /** Broadcasts waiting for a slow listener or iterator. */
  buffer?: Partial<BufferOptions>;
  /**
   * How long running handlers may go on when the application closes, in milliseconds. Then their
   * `notification.signal` is aborted and they are left behind.
   *
   * @defaultValue `10_000`
   */
  shutdownTimeoutMs?: number;
  /**
   * Do `APP_GUARD`, `APP_PIPE`, `app.useGlobalInterceptors()`, … also run for notifications? `false` when they are
   * written for HTTP only.
   *
   * @defaultValue `true`
   */
  globalEnhancers?: boolean;
  /**
   * Called for every notification, transaction and writing statement sent from here; what it returns travels as
   * `notification.context`, that of table changes included.
   */
  context?: () => object;
  /**
   * Do notifications carry the trace context (W3C `traceparent`) of whoever sends them, so that the span of a listener is
   * linked to the sender's? Only where an OpenTelemetry SDK is registered and the span is sampled. A broadcast that carries a
   * context is no longer the plain JSON text of its payload: `false` where clients of other kinds read it as that.
   *
   * @defaultValue `true`
   */
  traceContext?: boolean;
  /**
   * The current transaction, for libraries that do not patch the DataSource (`@nestjs-cls/transactional`:
   * `() => txHost.tx`). Used by `notify()` without `manager`; `undefined` means none.
   */
  executor?: () => SqlExecutor | undefined;
  /** Stored notifications whose context does not contain this are left for other processes. */
  filter?: { context: Record<string, unknown> };
}

/** The options of one instance, complete and frozen: inner code never looks for a default. */
export interface ResolvedOptions {
  readonly name: string;
  readonly connection: string | ClientConfig | undefined;
  readonly listen: boolean | readonly unknown[];
  readonly schema: string | undefined;
  readonly role: string | undefined;
  readonly synchronize: boolean;
  readonly verifySchema: 'error' | 'warn' | false;
  readonly reconnect: ReconnectOptions;
  readonly heartbeat: HeartbeatOptions | false;
  readonly poll: PollOptions;
  readonly concurrency: number | undefined;
  readonly batch: BatchOptions;
  readonly retry: RetryOptions;
  readonly buffer: BufferOptions;
  readonly timeoutMs: number | false;
  readonly deadPeerTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly globalEnhancers: boolean;
  readonly context: (() => object) | undefined;
  readonly traceContext: boolean;
  readonly executor: (() => SqlExecutor | undefined) | undefined;
  readonly filter: { readonly context: JsonObject } | undefined;
}
