import { bad, good, type Check } from './finding.js';
import { readOne } from './query.js';
import { readRecovery } from './standby.sql.js';

/** A standby refuses LISTEN, NOTIFY and every write. */
export const standbyCheck: Check = {
  name: 'primary',
  async examine({ dataSource }) {
    const { standby } = await readOne<{ standby: boolean }>(dataSource, readRecovery);
    if (!standby) return [good('The DataSource is connected to a primary.')];
    return [
      bad(
        'The DataSource is connected to a standby (replica).',
        'PostgreSQL refuses LISTEN, NOTIFY and writes there: nothing is sent, heard or handled.',
        'Connect to the primary: list several hosts with target_session_attrs=read-write at the proxy, or give the primary as replication.master.',
      ),
    ];
  },
};
