import { readCatalogTables } from '../../triggers/trigger.catalog.js';
import type { ResolvedTrigger } from '../../triggers/trigger.resolver.js';
import { Database } from '../../triggers/database.js';
import { withLockTimeout } from '../lock-timeout.js';
import { good, warning, type DoctorCheck, type CheckResult } from './doctor-check.js';

/** Matches names of columns that probably hold secrets. */
const SECRET =
  /passw|passphrase|secret|credential|api_?key|private_?key|(?:^|_)(?:token|otp|pin|cvc|cvv)(?:_|$)|[a-z]Token$/i;

export const secretsCheck: DoctorCheck = {
  name: 'secrets',
  async run({ dataSource }) {
    const triggers = Database.of(dataSource).triggers;
    const tableOf = await withLockTimeout(dataSource, (runner) => readCatalogTables(runner, triggers));
    const found = triggers.flatMap((trigger) => secretColumns(trigger, tableOf(trigger)?.columns ?? []));
    return found.length > 0
      ? found
      : [good('No notification carries a column whose name suggests a secret.')];
  },
};

function secretColumns(
  { schema, table, channel, columns, exclude }: ResolvedTrigger,
  all: readonly string[],
): CheckResult[] {
  const included = columns ?? all.filter((column) => !exclude.includes(column));
  const secrets = included.filter((column) => SECRET.test(column));
  if (secrets.length === 0) return [];
  const names = secrets.map((column) => `"${column}"`).join(', ');
  return [
    warning(
      `Notifications of ${schema}.${table} on channel "${channel}" carry ${names}.`,
      'Listeners, logs, stored notifications and dead letters contain the values; every role that may connect can receive a broadcast.',
      'Exclude such columns with "exclude" (or "columns") of @NotifyChanges().',
    ),
  ];
}
