import { bad, good, type DoctorCheck } from './doctor-check.js';
import { readOne } from './query.js';
import { readRecovery } from './standby.sql.js';

export const standbyCheck: DoctorCheck = {
  name: 'primary',
  async run({ dataSource }) {
    const { standby } = await readOne<{ standby: boolean }>(dataSource, readRecovery);
    if (!standby) return [good('The DataSource is connected to a primary.')];
    return [
      bad(
        'The DataSource is connected to a standby (replica).',
        'A standby rejects LISTEN, NOTIFY and writes: notifications are not sent, received or handled.',
        'Connect to the primary: use its address, or configure it as the master in the option "replication" of the DataSource.',
      ),
    ];
  },
};
