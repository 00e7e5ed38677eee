import type { ClientConfig } from 'pg';
import * as v from 'valibot';
import { CONNECTION_URL, describeNoUrl } from './connection-url.js';
import { PgPubSubError } from './errors.js';
import {
  BATCH_DEFAULTS,
  BUFFER_DEFAULTS,
  HEARTBEAT_DEFAULTS,
  OPTION_DEFAULTS,
  POLL_DEFAULTS,
  RECONNECT_DEFAULTS,
  RETRY_DEFAULTS,
  type PgPubSubExtras,
  type PgPubSubOptions,
  type ResolvedOptions,
} from './options.js';
import { OVERFLOW_POLICIES } from './overflow.js';
import {
  anyObject,
  callback,
  group,
  milliseconds,
  nonEmptyString,
  parseShape,
  pauses,
  pausesGrow,
  timeLimit,
  wholeNumber,
} from './parse.js';
import type { SqlExecutor } from './sql-executor.js';

/** What a channel or listener says of `retry` overrides the module's, property by property: no defaults here. */
export const retryOverrideShape = v.pipe(
  group({
    maxAttempts: v.exactOptional(wholeNumber(1)),
    minDelayMs: v.exactOptional(milliseconds(1)),
    maxDelayMs: v.exactOptional(milliseconds(1)),
  }),
  pausesGrow(),
);

const retryShape = v.pipe(
  group({ maxAttempts: v.optional(wholeNumber(1), RETRY_DEFAULTS.maxAttempts), ...pauses(RETRY_DEFAULTS) }),
  pausesGrow(),
);

const heartbeatShape = group({
  intervalMs: v.optional(milliseconds(1), HEARTBEAT_DEFAULTS.intervalMs),
  timeoutMs: v.optional(milliseconds(1), HEARTBEAT_DEFAULTS.timeoutMs),
});

const heartbeatMessage = 'an object, or false';
const listenMessage = 'true, false or a list of channels';
const connectionMessage = 'a URL or a configuration of pg.Client';
const verifyMessage = '"error", "warn" or false';

export const contextFilterShape = group({ context: anyObject });

const optionsShape = group({
  name: v.optional(nonEmptyString, OPTION_DEFAULTS.name),
  dataSource: v.optional(nonEmptyString),
  isGlobal: v.optional(v.boolean()),
  connection: v.optional(v.custom<string | ClientConfig>((value) => isConnection(value), connectionMessage)),
  listen: v.optional(v.union([v.boolean(), v.array(v.unknown())], listenMessage), OPTION_DEFAULTS.listen),
  schema: v.optional(nonEmptyString),
  role: v.optional(nonEmptyString),
  synchronize: v.optional(v.boolean(), OPTION_DEFAULTS.synchronize),
  verifySchema: v.optional(
    v.union([v.picklist(['error', 'warn']), v.literal(false)], verifyMessage),
    OPTION_DEFAULTS.verifySchema,
  ),
  reconnect: v.optional(v.pipe(group(pauses(RECONNECT_DEFAULTS)), pausesGrow()), {}),
  // not a union, whose error would not name the property inside
  heartbeat: v.optional(
    v.lazy((input) => (typeof input === 'boolean' ? v.literal(false, heartbeatMessage) : heartbeatShape)),
    {},
  ),
  poll: v.optional(
    group({
      intervalMs: v.optional(milliseconds(1), POLL_DEFAULTS.intervalMs),
      deafIntervalMs: v.optional(milliseconds(1), POLL_DEFAULTS.deafIntervalMs),
    }),
    {},
  ),
  concurrency: v.optional(wholeNumber(1)),
  batch: v.optional(
    group({
      maxSize: v.optional(wholeNumber(1), BATCH_DEFAULTS.maxSize),
      maxTimeMs: v.optional(milliseconds(), BATCH_DEFAULTS.maxTimeMs),
    }),
    {},
  ),
  retry: v.optional(retryShape, {}),
  buffer: v.optional(
    group({
      maxSize: v.optional(wholeNumber(1), BUFFER_DEFAULTS.maxSize),
      overflow: v.optional(v.picklist(OVERFLOW_POLICIES), BUFFER_DEFAULTS.overflow),
    }),
    {},
  ),
  timeoutMs: v.optional(timeLimit(1), OPTION_DEFAULTS.timeoutMs),
  deadPeerTimeoutMs: v.optional(milliseconds(1_000), OPTION_DEFAULTS.deadPeerTimeoutMs),
  shutdownTimeoutMs: v.optional(milliseconds(), OPTION_DEFAULTS.shutdownTimeoutMs),
  globalEnhancers: v.optional(v.boolean(), OPTION_DEFAULTS.globalEnhancers),
  context: v.optional(callback<() => object>()),
  traceContext: v.optional(v.boolean(), OPTION_DEFAULTS.traceContext),
  executor: v.optional(callback<() => SqlExecutor | undefined>()),
  filter: v.optional(contextFilterShape),
});

const isConnection = (value: unknown): boolean =>
  (typeof value === 'string' && value !== '') ||
  (typeof value === 'object' && value !== null && !Array.isArray(value));

/**
 * Checks the options of one instance and fills in the defaults. Throws `INVALID_OPTIONS` with a sentence that
 * names the option.
 */
export function resolveOptions(options: PgPubSubOptions, extras: PgPubSubExtras): ResolvedOptions {
  const what = 'PgPubSubModule.forRoot()';
  for (const extra of ['name', 'dataSource', 'isGlobal'] as const) {
    if (typeof options === 'object' && options !== null && extra in options) {
      throw new PgPubSubError(
        'INVALID_OPTIONS',
        `expected "${extra}" beside useFactory, got it as a part of what the factory returned. Move it there.`,
      );
    }
  }
  const given: unknown =
    typeof options === 'object' && options !== null && !Array.isArray(options)
      ? { ...options, ...extras }
      : options;
  const parsed = parseShape(optionsShape, given, { code: 'INVALID_OPTIONS', what });
  assertConnectionUrl(parsed.connection, what);
  const { dataSource: _dataSource, isGlobal: _isGlobal, ...rest } = parsed;
  return Object.freeze({
    ...rest,
    connection: parsed.connection,
    schema: parsed.schema,
    role: parsed.role,
    concurrency: parsed.concurrency,
    context: parsed.context,
    executor: parsed.executor,
    filter: parsed.filter,
  });
}

/** Not a part of the shape, whose error would show what was given. */
function assertConnectionUrl(connection: ResolvedOptions['connection'], what: string): void {
  const [option, url] =
    typeof connection === 'object'
      ? ['connection.connectionString', connection.connectionString]
      : ['connection', connection];
  const got = url === undefined ? undefined : describeNoUrl(url);
  if (got === undefined) return;
  throw new PgPubSubError(
    'INVALID_OPTIONS',
    `expected the option "${option}" of ${what} to be ${CONNECTION_URL}, got ${got}. ` +
      'Correct it, or leave it out.',
  );
}
