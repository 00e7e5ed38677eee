import type { DataSource } from 'typeorm';
import type { Difference } from '../../common/step.js';
import { toggleTrigger } from '../../triggers/trigger.sql.js';
import { Database } from '../../triggers/database.js';
import { remedyFor } from '../../triggers/schema.verifier.js';
import { withLockTimeout } from '../lock-timeout.js';
import { bad, good, warning, type DoctorCheck, type CheckResult } from './doctor-check.js';
import { read, readOne } from './query.js';
import { readResetStatements, readTriggerSettings } from './schema.sql.js';

const MEANS: Record<Difference['kind'], string> = {
  missing: 'Changes of its table are not notified, or notifications cannot be stored.',
  drifted: 'It was changed by hand or belongs to another release, and may send something else or nothing.',
  disabled: 'Changes of its table are not notified, and no error is reported.',
  obsolete: 'It notifies changes that are no longer declared. Another release may still need it.',
};

/** Compares the database with the declarations, and finds settings that disable triggers. */
export const schemaCheck: DoctorCheck = {
  name: 'triggers',
  async run({ dataSource }) {
    const { differences, warnings } = await withLockTimeout(dataSource, (runner) =>
      Database.of(dataSource).diff({}, runner),
    );
    const found = [
      ...differences.map((difference) => resultOfDifference(difference, dataSource)),
      ...warnings.map(resultOfWarning),
      ...(await checkSessionSettings(dataSource)),
    ];
    return found.length > 0 ? found : [good('Triggers and tables match the declarations of the DataSource.')];
  },
};

const resultOfWarning = (text: string): CheckResult =>
  warning(
    text,
    'The triggers are as declared, but listeners miss changes, or receive them in another order or form than expected.',
    'Each message above ends with its remedy.',
  );

const resultOfDifference = (difference: Difference, dataSource: DataSource): CheckResult =>
  (difference.kind === 'obsolete' ? warning : bad)(
    `${difference.kind}: ${difference.object}`,
    MEANS[difference.kind],
    remedyOf(difference, dataSource),
  );

function remedyOf(difference: Difference, dataSource: DataSource): string {
  const { kind, object } = difference;
  const [, name, schema, table] = /^trigger (.+) on ([^.]+)\.(.+)$/.exec(object) ?? [];
  return kind === 'disabled' && name !== undefined && schema !== undefined && table !== undefined
    ? `${toggleTrigger(schema, table, name, 'O')};`
    : remedyFor(dataSource, [difference]);
}

async function checkSessionSettings(dataSource: DataSource): Promise<CheckResult[]> {
  const { disabled, replication_role: role } = await readOne<{
    disabled: boolean;
    replication_role: string;
  }>(dataSource, readTriggerSettings);
  const disabledBy = async (setting: string, name: string): Promise<CheckResult> =>
    bad(
      `The sessions of the DataSource have ${setting}.`,
      'Their writes do not fire triggers.',
      await findResetStatements(dataSource, name),
    );
  return [
    ...(disabled ? [await disabledBy('pgpubsub.disabled = on', 'pgpubsub.disabled')] : []),
    ...(role === 'replica'
      ? [await disabledBy('session_replication_role = replica', 'session_replication_role')]
      : []),
  ];
}

async function findResetStatements(dataSource: DataSource, name: string): Promise<string> {
  const rows = await read<{ statement: string }>(dataSource, readResetStatements, [name]);
  return rows.length > 0
    ? `Reset the setting, then reconnect: ${rows.map(({ statement }) => `${statement};`).join(' ')}`
    : `Neither the role nor the database sets it: remove ${name} from the DataSource's options and URL, PGOPTIONS, or the server's configuration.`;
}
