import { CONNECTION_URL, describeNoUrl } from './connection-url.js';
import { PgPubSubError } from './errors.js';
import {
  EXTRA_OPTIONS,
  MODULE_OPTIONS,
  type PgPubSubExtras,
  type PgPubSubOptions,
  type ResolvedOptions,
} from './options.js';
import { parseOptions } from './parse.js';

/** Fills in the defaults of one instance. Throws `INVALID_OPTIONS`, which names the option. */
export function resolveOptions(options: PgPubSubOptions, extras: PgPubSubExtras): ResolvedOptions {
  const what = 'PgPubSubModule.forRoot()';
  for (const extra of Object.keys(EXTRA_OPTIONS)) {
    if (typeof options === 'object' && options !== null && extra in options) {
      throw new PgPubSubError(
        'INVALID_OPTIONS',
        `expected "${extra}" beside useFactory, got it in the result of the factory. Move it beside useFactory.`,
      );
    }
  }
  const given: unknown =
    typeof options === 'object' && options !== null && !Array.isArray(options)
      ? { ...options, ...extras }
      : options;
  const checked = { code: 'INVALID_OPTIONS', what } as const;
  const parsed = parseOptions({ ...EXTRA_OPTIONS, ...MODULE_OPTIONS }, given, checked);
  assertConnectionUrl(parsed.connection, what);
  const { dataSource: _dataSource, isGlobal: _isGlobal, ...rest } = parsed;
  return Object.freeze(rest);
}

/** Checks the URL apart from the option's definition, whose error would show the given value. */
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
