import { createPlainRunner } from '../../postgres/driver.js';
import { processIdOf } from '../../postgres/pg-client.js';
import { good, type DoctorCheck } from './doctor-check.js';
import { readOne } from './query.js';
import { readBackend } from './pooler.sql.js';

/** Behind a pooler the server cannot notice that the machine of a process has vanished. */
export const poolerCheck: DoctorCheck = {
  name: 'pooler',
  async run({ dataSource }) {
    const runner = createPlainRunner(dataSource);
    try {
      // no deadline: a command, which a person runs and ends
      const announced = processIdOf((await runner.connect()) as object); // the client of pg
      const { pid } = await readOne<{ pid: string }>(runner, readBackend);
      return [good(Number(pid) === announced ? DIRECT : POOLED)];
    } finally {
      await runner.release();
    }
  },
};

const DIRECT = "The DataSource's pool connects directly to the server.";
const POOLED =
  "The DataSource's pool goes through a connection pooler. If the machine of a process vanishes, its rows are released when the " +
  'pooler notices: "deadPeerTimeoutMs" does not reach beyond the pooler, whose own settings apply (tcp_user_timeout and tcp_keepalive of PgBouncer).';
