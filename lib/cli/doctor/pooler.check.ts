import { createPlainRunner } from '../../postgres/driver.js';
import { processIdOf } from '../../postgres/pg-client.js';
import { good, type DoctorCheck } from './doctor-check.js';
import { readOne } from './query.js';
import { readBackend } from './pooler.sql.js';

/** A pooler stands between the processes and the server: the server cannot notice that a process has vanished. */
export const poolerCheck: DoctorCheck = {
  name: 'pooler',
  async run({ dataSource }) {
    const runner = createPlainRunner(dataSource);
    try {
      // no deadline: a command, which a person runs and ends
      const announced = processIdOf((await runner.connect()) as object); // pg's client
      const { pid } = await readOne<{ pid: string }>(runner, readBackend);
      return [good(Number(pid) === announced ? DIRECT : POOLED)];
    } finally {
      await runner.release();
    }
  },
};

const DIRECT = "The DataSource's pool connects to the server itself.";
const POOLED =
  "The DataSource's pool goes through a connection pooler. The rows of a process whose machine vanishes are free when the " +
  'pooler notices: "deadPeerTimeoutMs" ends at the pooler, whose own settings count (tcp_user_timeout and tcp_keepalive of PgBouncer).';
