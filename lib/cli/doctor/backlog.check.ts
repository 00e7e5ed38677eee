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

/** Counting more would take long where much has piled up, and tell nothing new. */
const COUNT_UP_TO = 10_000;

const NO_STORAGE = good('This database stores no notifications.');

/** From this number on dead letters are kept by mistake, and not to be looked at. */
const MANY_DEAD_LETTERS = 100_000;
const MANY = warning(
  'There are 100,000 or more dead letters.',
  'They are kept until they are retried or discarded: backups and restores take longer, and no person reads them.',
  'Have them deleted after some time, by the option deadLetters: { keepMs } of forRoot() or of the channel; discard those that are not needed now (pgpubsub dead-letters discard --channel <name>).',
);

/** Is what is stored claimed in time? */
export const backlogCheck: DoctorCheck = {
  name: 'backlog',
  async run({ dataSource, maxBacklogAgeMs }) {
    const channels = await readBacklog(dataSource);
    if (channels === undefined) return [NO_STORAGE];
    const late = channels.filter(({ overdueMs }) => overdueMs > maxBacklogAgeMs);
    if (late.length === 0) return [good(`${waitingIn(channels)}, none too long.`)];
    return late.map(({ channel, due, overdueMs }) =>
      bad(
        `Channel "${channel}": ${numberOf(due, 'notification')} due, the first for ${renderAge(overdueMs)}.`,
        'Nobody claims them in time: no process runs a listener of this channel, it is paused, or it is too slow.',
        `Start one (pgpubsub listen <module> --channels ${channel}), or more of them; the log of those that run says what fails.`,
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
        'A listener has given up; nobody tries again.',
        `Look at them (pgpubsub dead-letters list --channel ${channel}), mend what failed, then retry or discard them.`,
      ),
    );
    return [...many, ...ofChannels];
  },
};

/** `undefined`: there are no tables. */
async function readBacklog(dataSource: DataSource): Promise<ChannelBacklog[] | undefined> {
  if (!(await hasStorage(dataSource))) return undefined;
  const { schema } = Database.of(dataSource).storage;
  return withLockTimeout(dataSource, (runner) => findBacklog(runner, { schema, countUpTo: COUNT_UP_TO }));
}

/** Counts up to the number from which on it is worth a warning. */
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
