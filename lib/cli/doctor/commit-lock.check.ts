import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { countCommitLockWaiters } from './commit-lock.sql.js';
import { bad, good, warning, type DoctorCheck } from './doctor-check.js';
import { readOne } from './query.js';

const SAMPLES = 5;
const PAUSE_MS = 100;

/** The median number of waiting writers from which on commits are slow for all writers. */
const BAD = 10;

/** PostgreSQL commits notifying transactions one at a time, which only matters when others wait. */
export const commitLockCheck: DoctorCheck = {
  name: 'commit lock',
  async run({ dataSource }) {
    const waiting = (await sample(dataSource)).toSorted((a, b) => a - b);
    const median = waiting[Math.floor(SAMPLES / 2)] ?? 0;
    const most = waiting.at(-1) ?? 0;
    const found = `Transactions that waited to commit their NOTIFY, in ${SAMPLES} samples: median ${median}, at most ${most}.`;
    if (median === 0) return [good(found)];
    return [
      (median >= BAD ? bad : warning)(
        found,
        'The server commits transactions that notify one at a time, and writers now wait for each other.',
        'Notify less often or in fewer transactions. Poll busy exactly-once channels (wake: "poll"), which removes NOTIFY from their writes. Find out what makes commits slow (fsync, synchronous standbys).',
      ),
    ];
  },
};

async function sample(dataSource: DataSource): Promise<number[]> {
  const samples: number[] = [];
  for (let n = 0; n < SAMPLES; n++) {
    if (n > 0) await delay(PAUSE_MS);
    const { waiting } = await readOne<{ waiting: string }>(dataSource, countCommitLockWaiters);
    samples.push(Number(waiting));
  }
  return samples;
}
