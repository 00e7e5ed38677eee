import { setTimeout as delay } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { countCommitLockWaiters } from './commit-lock.sql.js';
import { bad, good, warning, type DoctorCheck } from './doctor-check.js';
import { readOne } from './query.js';

const SAMPLES = 5;
const PAUSE_MS = 100;

/** So many writers that wait at most times make commits slow for everybody. */
const BAD = 10;

/** PostgreSQL lets one notifying transaction commit at a time. That is no harm until others wait for it most of the time. */
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
        'The server commits transactions that notify one after the other; they are its bottleneck now.',
        'Notify less often or in fewer transactions; let busy exactly-once channels be polled (wake: "poll"), which takes NOTIFY out of the write path; look at what makes a commit slow (fsync, synchronous standbys).',
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
