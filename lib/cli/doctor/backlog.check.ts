import type { DataSource } from 'typeorm';
import { counted } from '../../common/wording.js';
import { findBacklog, type ChannelBacklog } from '../../observability/backlog.js';
import { Database } from '../../triggers/database.js';
import { renderAge } from '../age.js';
import { hasStorage } from '../storage.js';
import { withLockTimeout } from '../lock-timeout.js';
import { countUpTo } from './backlog.sql.js';
import { bad, good, warning, type DoctorCheck } from './doctor-check.js';
import { read } from './query.js';

/** The limit for counting rows, which keeps the checks fast when the backlog is long. */
const COUNT_UP_TO = 10_000;

const NO_STORAGE = good('This database has no tables of stored notifications.');

/** The number of dead letters from which on they are probably kept by mistake. */
const MANY_DEAD_LETTERS = 100_000;
const MANY = warning(
  'There are 100,000 or more dead letters.',
  'Dead letters are kept until they are retried or discarded. This many make backups and restores slower, and cannot be reviewed.',
  'Set the option deadLetters: { keepMs } of forRoot() or of the channel, which deletes them after some time. Discard those that are not needed (pgpubsub dead-letters discard --channel <name>).',
);

export const backlogCheck: DoctorCheck = {
  name: 'backlog',
  async run({ dataSource, maxBacklogAgeMs }) {
    const channels = await readBacklog(dataSource);
    if (channels === undefined) return [NO_STORAGE];
    const late = channels.filter(({ overdueMs }) => overdueMs > maxBacklogAgeMs);
    if (late.length === 0) return [good(`${waitingIn(channels)}; none is overdue.`)];
    return late.map(({ channel, due, overdueMs }) =>
      bad(
        `Channel "${channel}": ${numberOf(due, 'due notification')} unclaimed for ${renderAge(overdueMs)}.`,
        'No process runs a listener of this channel, the channel is paused, or its listeners are too slow.',
        `Start a process for the channel (pgpubsub listen <module> --channels ${channel}), or more of them. The logs of running processes show errors.`,
      ),
    );
  },
};

export const deadLettersCheck: DoctorCheck = {
  name: 'dead letters',
  async run({ dataSource }) {
    const channels = (await readBacklog(dataSource))?.filter(({ dead }) => dead > 0);
    if (channels === undefined) return [NO_STORAGE];
    if (channels.length === 0) return [good('There are no dead letters.')];
    const many = (await countDeadLetters(dataSource)) >= MANY_DEAD_LETTERS ? [MANY] : [];
    const ofChannels = channels.map(({ channel, dead }) =>
      warning(
        `Channel "${channel}" has ${numberOf(dead, 'dead letter')}.`,
        'A listener failed to handle them, and they are not retried automatically.',
        `List them (pgpubsub dead-letters list --channel ${channel}), fix the cause, then retry or discard them.`,
      ),
    );
    return [...many, ...ofChannels];
  },
};

/** Returns `undefined` without the tables. */
async function readBacklog(dataSource: DataSource): Promise<ChannelBacklog[] | undefined> {
  if (!(await hasStorage(dataSource))) return undefined;
  const { schema } = Database.of(dataSource).storage;
  return withLockTimeout(dataSource, (runner) => findBacklog(runner, { schema, countUpTo: COUNT_UP_TO }));
}

/** Counts up to {@link MANY_DEAD_LETTERS}. */
async function countDeadLetters(dataSource: DataSource): Promise<number> {
  const { schema } = Database.of(dataSource).storage;
  const [row] = await withLockTimeout(dataSource, (runner) =>
    read<{ count: string }>(runner, countUpTo(schema), [MANY_DEAD_LETTERS]),
  );
  return Number(row?.count);
}

const numberOf = (count: number, one: string): string =>
  count >= COUNT_UP_TO ? `${count} or more ${one}s` : counted(count, one);

const waitingIn = (channels: readonly ChannelBacklog[]): string => {
  const count = channels.reduce((sum, { waiting }) => sum + waiting, 0);
  return `${numberOf(count, 'notification')} ${count === 1 ? 'waits' : 'wait'}`;
};
