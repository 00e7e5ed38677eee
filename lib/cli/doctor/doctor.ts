import { messageOf } from '../../common/errors.js';
import { backlogCheck, deadLettersCheck } from './backlog.check.js';
import { commitLockCheck } from './commit-lock.check.js';
import { warning, type Check, type Finding, type Found, type Subject } from './finding.js';
import { hearingCheck } from './hearing.check.js';
import { listenersCheck } from './listeners.check.js';
import { poolerCheck } from './pooler.check.js';
import { privilegesCheck } from './privileges.check.js';
import { queueCheck } from './queue.check.js';
import { schemaCheck } from './schema.check.js';
import { secretsCheck } from './secrets.check.js';
import { standbyCheck } from './standby.check.js';
import { tablesCheck } from './tables.check.js';
import { transactionsCheck } from './transactions.check.js';

/** In the order in which they are told: what keeps everything from working stands first. */
const CHECKS: readonly Check[] = [
  standbyCheck,
  hearingCheck,
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

/** Runs every check, one after the other; one that fails is a finding itself, and the others go on. */
export async function examine(subject: Subject): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const check of CHECKS) {
    const found = await check.examine(subject).catch((error: unknown) => [failed(error)]);
    findings.push(...found.map((finding) => ({ check: check.name, ...finding })));
  }
  return findings;
}

const failed = (error: unknown): Found =>
  warning(
    `could not be examined: ${messageOf(error)}`,
    'Nothing is known about this.',
    'Mend what the message says; for missing privileges, run the doctor as the owner of the tables or grant them.',
  );
