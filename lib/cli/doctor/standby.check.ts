import { bad, good, type DoctorCheck } from './doctor-check.js';
import { readOne } from './query.js';
import { readRecovery } from './standby.sql.js';

/** A standby refuses LISTEN, NOTIFY and every write. */
export const standbyCheck: DoctorCheck = {
  name: 'primary',
  async run({ dataSource }) {
    const { standby } = await readOne<{ standby: boolean }>(dataSource, readRecovery);
    if (!standby) return [good('The DataSource is connected to a primary.')];
    return [
      bad(
        'The DataSource is connected to a standby (replica).',
        'PostgreSQL refuses LISTEN, NOTIFY and writes there: nothing is sent, heard or handled.',
        'Connect to the primary: give its address, or, with the option replication of the DataSource, give it as the master.',
      ),
    ];
  },
};
