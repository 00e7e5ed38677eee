import { quoteIdentifier } from '../../common/sql-identifier.js';
import { counted } from '../../common/wording.js';
import { good, warning, type DoctorCheck } from './doctor-check.js';
import { countHiddenSessions } from './privileges.sql.js';
import { readOne } from './query.js';

/** A role that cannot see the sessions of other roles cannot find their old transactions. */
export const privilegesCheck: DoctorCheck = {
  name: 'privileges',
  async run({ dataSource }) {
    const { hidden, role } = await readOne<{ hidden: string; role: string }>(dataSource, countHiddenSessions);
    if (Number(hidden) === 0) return [good('The role can see all sessions.')];
    return [
      warning(
        `The role "${role}" cannot see the activity of ${counted(Number(hidden), 'session')} of other roles.`,
        'Old transactions of these sessions, which hold back vacuum, are not found.',
        `Use a DataSource whose role has pg_monitor, or grant it: grant pg_monitor to ${quoteIdentifier(role)};`,
      ),
    ];
  },
};
