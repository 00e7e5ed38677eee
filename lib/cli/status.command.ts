import type { Command } from 'commander';
import type { DataSource } from 'typeorm';
import { findBacklog, type ChannelBacklog } from '../observability/backlog.js';
import { findPaused } from '../observability/status.sql.js';
import { channelTable } from '../storage/storage.sql.js';
import { canRead } from '../store/live-listeners.sql.js';
import { StoredConditions } from '../store/stored-conditions.js';
import { Database } from '../triggers/database.js';
import { renderAge } from './age.js';
import { withLockTimeout } from './lock-timeout.js';
import type { ExitCode } from './command-failure.js';
import { addDataSourceOption, withDataSource } from './data-source.loader.js';
import { assertStorage, storedOptions } from './storage.js';
import { printJson, printLine, printTable } from './terminal.js';

interface StatusCommandOptions {
  readonly dataSource: string;
  readonly json?: true;
  readonly beforeMigration?: string;
}

/** `pgpubsub status`: shows the stored notifications by channel. */
export function statusCommand(program: Command, _end: (code: ExitCode) => void): void {
  addDataSourceOption(program.command('status'))
    .description('shows the stored notifications of each channel: number, age and dead letters')
    .option('--before-migration <name>', 'count only notifications stored before this migration ran')
    .option('--json', 'print JSON')
    .action(async (options: StatusCommandOptions) => {
      const { channels, paused } = await withDataSource(options.dataSource, async (dataSource) => ({
        channels: await readStatus(dataSource, options.beforeMigration),
        paused: await readPaused(dataSource),
      }));
      if (options.json) printJson({ channels, paused });
      else print(channels, paused);
    });
}

/** Returns declared channels, and those of other applications or removed listeners. */
async function readStatus(
  dataSource: DataSource,
  beforeMigration: string | undefined,
): Promise<ChannelBacklog[]> {
  await assertStorage(dataSource);
  const filter = beforeMigration === undefined ? {} : { beforeMigration };
  const condition = await new StoredConditions(storedOptions(dataSource)).ofPending(filter, 'status', 2);
  const { schema } = Database.of(dataSource).storage;
  const scope = { schema, countUpTo: null, condition };
  const stored = await withLockTimeout(dataSource, (runner) => findBacklog(runner, scope));
  const names = new Set(stored.map(({ channel }) => channel));
  const idle = [...new Set(Database.of(dataSource).storedChannels)].filter((channel) => !names.has(channel));
  return [...stored, ...idle.map(nothingOf)].toSorted((a, b) => (a.channel < b.channel ? -1 : 1));
}

/**
 * Returns the channels that are paused everywhere; none for a role that may not read them.
 *
 * no deadline: a command, which a person runs and ends
 */
async function readPaused(dataSource: DataSource): Promise<string[]> {
  const table = channelTable(Database.of(dataSource).storage.schema);
  return withLockTimeout(dataSource, async (runner) => {
    const [server] = (await runner.query(canRead, [table])) as [{ can_read: string }]; // as the statement says
    if (server.can_read !== 'true') return [];
    const rows = (await runner.query(findPaused(Database.of(dataSource).storage.schema))) as {
      channel: string;
    }[];
    return rows.map(({ channel }) => channel);
  });
}

const nothingOf = (channel: string): ChannelBacklog => ({
  channel,
  waiting: 0,
  due: 0,
  retrying: 0,
  oldestAgeMs: null,
  overdueMs: 0,
  dead: 0,
});

function print(channels: readonly ChannelBacklog[], paused: readonly string[]): void {
  if (paused.length > 0) printLine(`Paused everywhere: ${paused.join(', ')}.`);
  if (channels.length === 0)
    return printLine('No exactly-once channel is declared, and no notifications are stored.');
  printTable(
    ['channel', 'stored', 'due', 'retrying', 'oldest', 'dead'],
    channels.map(({ channel, waiting, due, retrying, oldestAgeMs, dead }) => [
      channel,
      waiting,
      due,
      retrying,
      oldestAgeMs === null ? '' : renderAge(oldestAgeMs),
      dead,
    ]),
  );
}
