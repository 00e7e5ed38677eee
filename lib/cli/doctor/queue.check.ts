import { bad, good, warning, type DoctorCheck } from './doctor-check.js';
import { readOne } from './query.js';
import { readQueueUsage } from './queue.sql.js';

const WARNING = 0.1;
const BAD = 0.5;

export const queueCheck: DoctorCheck = {
  name: 'notification queue',
  async run({ dataSource }) {
    const { usage } = await readOne<{ usage: string }>(dataSource, readQueueUsage);
    const share = Number(usage);
    const found = `The server's notification queue is ${(share * 100).toFixed(share < WARNING ? 1 : 0)} % full.`;
    if (share <= WARNING) return [good(found)];
    return [
      (share > BAD ? bad : warning)(
        found,
        'A listening session has been in a transaction for a long time and does not read. When the queue is full, every transaction that notifies fails at its commit.',
        'End the oldest transaction of a listening session: select pid, xact_start, state, query from pg_stat_activity order by xact_start; then, with its pid: select pg_terminate_backend(…);',
      ),
    ];
  },
};
