import { quoteLiteral } from '../common/sql-identifier.js';

/** The savepoint of a claim; one at a time, because statements within nested ones are slower. */
export const SET_SAVEPOINT = 'savepoint pgpubsub_handler';
export const RELEASE_SAVEPOINT = 'release savepoint pgpubsub_handler';
export const ROLL_BACK_TO_SAVEPOINT = 'rollback to savepoint pgpubsub_handler';

/** Drops the temporary tables, views and sequences of the session. */
export const DISCARD_TEMPORARY = 'discard temp';
export const CLOSE_CURSORS = 'close all';

/** Sets the context for triggers, a JSON text, until the transaction ends. */
export const setContext = (context: string): string =>
  `set local pgpubsub.context = ${quoteLiteral(context)}`;

/**
 * The settings that determine how the library's statements and triggers run. They are restored
 * after each handler. The order matters: setting the session's authorization resets the role.
 */
export const GUARDED_SETTINGS = [
  'session_authorization',
  'role',
  'session_replication_role',
  'search_path',
  'row_security',
  'statement_timeout',
  'lock_timeout',
  'pgpubsub.context',
  'pgpubsub.disabled',
] as const;

/** Values of `GUARDED_SETTINGS`, in their order. */
export type GuardedValues = readonly string[];

const valueOf = (setting: string): string =>
  `coalesce(pg_catalog.current_setting(${quoteLiteral(setting)}, true), '')`;

/**
 * Reads the guarded settings and the process id of the session: one row, as texts. Names are
 * qualified, because a handler may have set any search_path.
 */
export const readSettings = (): string =>
  `select ${GUARDED_SETTINGS.map(valueOf).join(', ')}, pg_catalog.pg_backend_pid()`;

/**
 * Restores the guarded settings that differ from these values, until the transaction ends. Returns
 * a row for each. Equal settings are not touched, because an ordinary role may not set all of them.
 */
export function restoreSettings(values: GuardedValues): string {
  const rows = GUARDED_SETTINGS.map(
    (setting, index) => `(${quoteLiteral(setting)}, ${quoteLiteral(values[index] ?? '')})`,
  );
  return (
    `select pg_catalog.set_config(s.name, s.value, true) from (values ${rows.join(', ')}) as s(name, value) ` +
    `where coalesce(pg_catalog.current_setting(s.name, true), '') operator(pg_catalog.<>) s.value`
  );
}
