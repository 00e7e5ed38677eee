import type { DataSource } from 'typeorm';
import { quoteLiteral } from '../../common/sql-identifier.js';
import { notificationTable } from '../../storage/storage.sql.js';
import { Database } from '../../triggers/database.js';
import { renderAge } from '../age.js';
import { bad, good, warning, type DoctorCheck, type CheckResult, type DoctorInput } from './doctor-check.js';
import { read } from './query.js';
import {
  readDeadRows,
  readOldTransactions,
  readPreparedTransactions,
  readReplicationHorizons,
} from './transactions.sql.js';

/** The multiple of the tolerated age that is bad. */
const BAD_FACTOR = 10;
/** The number of dead rows from which on an open transaction does harm. */
const MANY_DEAD_ROWS = 5_000;
/** The age from which a transaction counts as long. */
const LASTING_MS = 3_000;
/** Ages of replication in transactions: a few minutes and a day of a busy server. */
const OLD_HORIZON = 100_000;
const VERY_OLD_HORIZON = 10_000_000;

const STOPS_VACUUM =
  'Vacuum cannot remove rows that have died since then: handled notifications stay, the table and its indexes grow, and claims get somewhat slower.';
const MAY_STOP_VACUUM =
  'It holds its locks and its connection, and holds back vacuum once it reads or writes. A listening session in a transaction receives nothing and fills the notification queue.';

/** Finds what holds back vacuum, which is how queues in PostgreSQL fail. */
export const transactionsCheck: DoctorCheck = {
  name: 'transactions',
  async run(subject) {
    const deadRows = await countDeadRows(subject.dataSource);
    const found = [
      ...(await oldTransactions(subject, deadRows)),
      ...(await preparedTransactions(subject)),
      ...(await replicationHorizons(subject.dataSource)),
    ];
    return found.length > 0 ? found : [good('No old transaction holds back vacuum.')];
  },
};

async function countDeadRows(dataSource: DataSource): Promise<number> {
  const table = notificationTable(Database.of(dataSource).storage.schema);
  const [row] = await read<{ dead: string }>(dataSource, readDeadRows, [table]);
  return Number(row?.dead ?? 0);
}

interface OldTransaction {
  readonly pid: string;
  readonly application_name: string | null;
  readonly state: string | null;
  readonly query: string | null;
  readonly age_seconds: string;
  readonly holds_back_vacuum: boolean;
}

async function oldTransactions(
  { dataSource, maxTransactionAgeMs }: DoctorInput,
  deadRows: number,
): Promise<CheckResult[]> {
  const isHarmful = deadRows >= MANY_DEAD_ROWS;
  const fromMs = isHarmful ? Math.min(maxTransactionAgeMs, LASTING_MS) : maxTransactionAgeMs;
  const rows = await read<OldTransaction>(dataSource, readOldTransactions, [fromMs / 1_000]);
  const kept = isHarmful ? ` There are now ${deadRows} dead notifications.` : '';
  return rows
    .map((row) => ({ row, ageMs: Number(row.age_seconds) * 1_000 }))
    .filter(({ row, ageMs }) => row.holds_back_vacuum || ageMs >= maxTransactionAgeMs)
    .map(({ row, ageMs }) => {
      const isBad = row.holds_back_vacuum && (isHarmful || ageMs >= BAD_FACTOR * maxTransactionAgeMs);
      const means = row.holds_back_vacuum ? STOPS_VACUUM + kept : MAY_STOP_VACUUM;
      return (isBad ? bad : warning)(describe(row, ageMs), means, endIt(row));
    });
}

const describe = (row: OldTransaction, ageMs: number): string => {
  const name = row.application_name ? ` (${row.application_name})` : '';
  const query = beginningOf(row.query ?? '');
  return `The transaction of pid ${row.pid}${name} has been open for ${renderAge(ageMs)}, state "${row.state ?? 'unknown'}": ${query}`;
};

const endIt = ({ pid, state }: OldTransaction): string =>
  (state?.startsWith('idle in transaction')
    ? 'Its application does not commit or roll back in time; idle_in_transaction_session_timeout ends such sessions.'
    : 'Run long reports on a standby without hot_standby_feedback, or with a statement_timeout.') +
  ` End this one: select pg_terminate_backend(${pid});`;

async function preparedTransactions({
  dataSource,
  maxTransactionAgeMs,
}: DoctorInput): Promise<CheckResult[]> {
  const rows = await read<{ gid: string; owner: string; age_seconds: string }>(
    dataSource,
    readPreparedTransactions,
    [maxTransactionAgeMs / 1_000],
  );
  return rows.map(({ gid, owner, age_seconds }) => {
    const ageMs = Number(age_seconds) * 1_000;
    return (ageMs >= BAD_FACTOR * maxTransactionAgeMs ? bad : warning)(
      `The prepared transaction "${gid}" of ${owner} has been waiting for ${renderAge(ageMs)}.`,
      STOPS_VACUUM,
      `Its transaction manager has abandoned it. End it: commit prepared ${quoteLiteral(gid)}; or: rollback prepared ${quoteLiteral(gid)};`,
    );
  });
}

interface ReplicationHorizon {
  readonly kind: 'replication slot' | 'standby';
  readonly name: string;
  readonly active: boolean;
  readonly age_transactions: string;
}

async function replicationHorizons(dataSource: DataSource): Promise<CheckResult[]> {
  const rows = await read<ReplicationHorizon>(dataSource, readReplicationHorizons);
  return rows
    .filter(({ age_transactions }) => Number(age_transactions) >= OLD_HORIZON)
    .map(({ kind, name, active, age_transactions }) =>
      (Number(age_transactions) >= VERY_OLD_HORIZON ? bad : warning)(
        `The ${kind} "${name}"${active ? '' : ', which is unused,'} holds back vacuum by ${age_transactions} transactions.`,
        STOPS_VACUUM,
        active
          ? 'End the long query there, or switch off hot_standby_feedback.'
          : `Drop the slot if its standby will not return: select pg_drop_replication_slot(${quoteLiteral(name)});`,
      ),
    );
}

/** Returns the start of the query, but hides a query that may contain a password. */
const beginningOf = (query: string): string =>
  /password/i.test(query) ? '(about a password)' : query.replaceAll(/\s+/g, ' ').slice(0, 80);
