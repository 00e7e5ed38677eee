/** The oldest server that writes the shortest exact text of a float by default. */
const EXACT_FLOATS_SINCE = 120_000;

/**
 * The settings of a trigger function, which make the text of a row independent of the session that
 * writes it. Floats have the digits that a session of the DataSource reads: 15 on older servers.
 */
export const textSettings = (serverVersion: number): string =>
  "set search_path = pg_catalog, pg_temp set datestyle = 'ISO' set intervalstyle = 'postgres' set bytea_output = 'hex' " +
  `set extra_float_digits = '${serverVersion < EXACT_FLOATS_SINCE ? 0 : 1}'`;

export const TEXT_SETTINGS: readonly string[] = [
  'search_path=pg_catalog, pg_temp',
  'datestyle=ISO',
  'intervalstyle=postgres',
  'bytea_output=hex',
  'extra_float_digits=1',
];

/** Normalizes settings. The number of digits may come from a migration of another server. */
export const comparableSettings = (settings: readonly string[] | null): string =>
  (settings ?? [])
    .map((setting) => setting.replace(/^extra_float_digits=[01]$/, 'extra_float_digits='))
    .map((setting) => setting.replace(/^[^=]+/, (name) => name.toLowerCase()))
    .toSorted()
    .join('; ');
