import { good, warning, type Check } from './finding.js';
import { countHiddenSessions } from './privileges.sql.js';
import { readOne } from './query.js';

/** A role that may not see others' sessions cannot tell whose transaction is old. */
export const privilegesCheck: Check = {
  name: 'privileges',
  async examine({ dataSource }) {
    const { hidden, role } = await readOne<{ hidden: string; role: string }>(dataSource, countHiddenSessions);
    if (Number(hidden) === 0) return [good('The role sees every session.')];
    return [
      warning(
        `The role "${role}" may not see what ${hidden} sessions do.`,
        'An old transaction of theirs, which holds back vacuum, is not found by this command.',
        `grant pg_monitor to "${role.replaceAll('"', '""')}", or give --data-source a role that has it.`,
      ),
    ];
  },
};
