import { messageOf } from '../../common/errors.js';
import { backlogCheck, deadLettersCheck } from './backlog.check.js';
import { commitLockCheck } from './commit-lock.check.js';
import {
  warning,
  type DoctorCheck,
  type DoctorResult,
  type CheckResult,
  type DoctorInput,
} from './doctor-check.js';
import { listenCheck } from './listen.check.js';
import { listenersCheck } from './listeners.check.js';
import { poolerCheck } from './pooler.check.js';
import { privilegesCheck } from './privileges.check.js';
import { queueCheck } from './queue.check.js';
import { schemaCheck } from './schema.check.js';
import { secretsCheck } from './secrets.check.js';
import { standbyCheck } from './standby.check.js';
import { tablesCheck } from './tables.check.js';
import { transactionsCheck } from './transactions.check.js';

/** The checks in the order of the report; problems that prevent everything come first. */
const CHECKS: readonly DoctorCheck[] = [
  standbyCheck,
  listenCheck,
  poolerCheck,
  schemaCheck,
  queueCheck,
  commitLockCheck,
  transactionsCheck,
  tablesCheck,
  backlogCheck,
  listenersCheck,
  deadLettersCheck,
  secretsCheck,
  privilegesCheck,
];

/** Runs all checks in sequence. A check that rejects becomes a warning, and the next ones run. */
export async function runChecks(input: DoctorInput): Promise<DoctorResult[]> {
  const results: DoctorResult[] = [];
  for (const check of CHECKS) {
    const found = await check.run(input).catch((error: unknown) => [failed(error)]);
    results.push(...found.map((result) => ({ check: check.name, ...result })));
  }
  return results;
}

const failed = (error: unknown): CheckResult =>
  warning(
    `could not be examined: ${messageOf(error)}`,
    'The result of this check is unknown.',
    'Fix the cause that the message names. For missing privileges, run the doctor as the owner of the tables, or grant them.',
  );
