import { counted } from '../../common/wording.js';
import { deadLetterTable, notificationTable } from '../../storage/storage.sql.js';
import { Database } from '../../triggers/database.js';
import { renderAge } from '../age.js';
import { bad, good, warning, type DoctorCheck, type CheckResult } from './doctor-check.js';
import { read } from './query.js';
import { readTableStatistics } from './tables.sql.js';

/** Several times autovacuum's threshold (5,000, see `STORAGE_TABLES`) and period (a minute). */
const MANY_DEAD_ROWS = 20_000;
const LATE_SECONDS = 300;
const TOO_MANY_DEAD_ROWS = 1_000_000;

const BLOAT = 'The table and its indexes grow, and claims get somewhat slower.';

interface TableStatistics {
  readonly name: string;
  readonly live: string;
  readonly dead: string;
  readonly vacuumed_seconds_ago: string | null;
  readonly server_vacuums: boolean;
  readonly is_switched_off: boolean;
}

/** Finds tables for which autovacuum is off, or too slow. */
export const tablesCheck: DoctorCheck = {
  name: 'vacuum',
  async run({ dataSource }) {
    const { schema } = Database.of(dataSource).storage;
    const names = [notificationTable(schema), deadLetterTable(schema)];
    const tables = await read<TableStatistics>(dataSource, readTableStatistics, [names]);
    if (tables.length === 0) return [good('This database has no tables of stored notifications.')];
    return tables.map(checkTable);
  },
};

function checkTable(table: TableStatistics): CheckResult {
  const { name, live, dead, vacuumed_seconds_ago: seconds } = table;
  const last = seconds === null ? 'never vacuumed' : `vacuumed ${renderAge(Number(seconds) * 1_000)} ago`;
  const found = `${name} has ${counted(Number(dead), 'dead row')}, ${counted(Number(live), 'live row')}; ${last}`;
  if (!table.server_vacuums)
    return bad(
      `${found}; autovacuum does not run on this server.`,
      BLOAT,
      'Set autovacuum = on and track_counts = on.',
    );
  if (table.is_switched_off)
    return bad(
      `${found}; autovacuum is switched off for this table.`,
      BLOAT,
      `alter table ${name} reset (autovacuum_enabled);`,
    );
  if (Number(dead) < MANY_DEAD_ROWS || Number(seconds ?? Infinity) < LATE_SECONDS) return good(`${found}.`);
  return (Number(dead) >= TOO_MANY_DEAD_ROWS ? bad : warning)(
    `${found}: autovacuum does not keep up.`,
    BLOAT,
    `End the transactions that hold back vacuum (see "transactions"), give autovacuum more workers or shorter pauses (autovacuum_max_workers, autovacuum_naptime), and clean up now: vacuum ${name};`,
  );
}
