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

/**
 * Checks the options of one instance and fills in the defaults. Throws `INVALID_OPTIONS` with a sentence that
 * names the option.
 */
export function resolveOptions(options: PgPubSubOptions, extras: PgPubSubExtras): ResolvedOptions {
  const what = 'PgPubSubModule.forRoot()';
  for (const extra of Object.keys(EXTRA_OPTIONS)) {
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
  const checked = { code: 'INVALID_OPTIONS', what } as const;
  const parsed = parseOptions({ ...EXTRA_OPTIONS, ...MODULE_OPTIONS }, given, checked);
  assertConnectionUrl(parsed.connection, what);
  const { dataSource: _dataSource, isGlobal: _isGlobal, ...rest } = parsed;
  return Object.freeze(rest);
}

/** Not a part of the definition, whose error would show what was given. */
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
