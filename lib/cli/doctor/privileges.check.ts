import { quoteIdentifier } from '../../common/sql-identifier.js';
import { counted } from '../../common/wording.js';
import { good, warning, type DoctorCheck } from './doctor-check.js';
import { countHiddenSessions } from './privileges.sql.js';
import { readOne } from './query.js';

/** A role that may not see others' sessions cannot tell whose transaction is old. */
export const privilegesCheck: DoctorCheck = {
  name: 'privileges',
  async run({ dataSource }) {
    const { hidden, role } = await readOne<{ hidden: string; role: string }>(dataSource, countHiddenSessions);
    if (Number(hidden) === 0) return [good('The role sees every session.')];
    return [
      warning(
        `The role "${role}" may not see what others do in ${counted(Number(hidden), 'session')}.`,
        'An old transaction of theirs, which holds back vacuum, is not found by this command.',
        `Give --data-source a role that has pg_monitor, or let this one have it: grant pg_monitor to ${quoteIdentifier(role)};`,
      ),
    ];
  },
};
