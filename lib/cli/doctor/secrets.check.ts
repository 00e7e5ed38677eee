import { readCatalogTables } from '../../triggers/trigger.catalog.js';
import type { ResolvedTrigger } from '../../triggers/trigger.resolver.js';
import { Database } from '../../triggers/database.js';
import { withLockTimeout } from '../lock-timeout.js';
import { good, warning, type DoctorCheck, type CheckResult } from './doctor-check.js';

/** Names of columns that are likely to hold what nobody may read. */
const SECRET =
  /passw|passphrase|secret|credential|api_?key|private_?key|(?:^|_)(?:token|otp|pin|cvc|cvv)(?:_|$)|[a-z]Token$/i;

/** Looks for columns that notifications carry, and whose names say that they hold secrets. */
export const secretsCheck: DoctorCheck = {
  name: 'secrets',
  async run({ dataSource }) {
    const triggers = Database.of(dataSource).triggers;
    const tableOf = await withLockTimeout(dataSource, (runner) => readCatalogTables(runner, triggers));
    const found = triggers.flatMap((trigger) => secretColumns(trigger, tableOf(trigger)?.columns ?? []));
    return found.length > 0 ? found : [good('No notification carries a column that is named like a secret.')];
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
      'Listeners, logs, stored notifications and dead letters hold it; a broadcast is heard by every role that may connect.',
      'Leave it out by "exclude" (or "columns") of @NotifyChanges().',
    ),
  ];
}
