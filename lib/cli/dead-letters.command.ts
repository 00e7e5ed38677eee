import { InvalidArgumentError, type Command } from 'commander';
import type { DataSource } from 'typeorm';
import { counted } from '../common/wording.js';
import { DeadLetterBatches } from '../store/dead-letter-batches.js';
import type { CountedListener } from '../store/live-listeners.js';
import { isId, type StoredFilter } from '../store/stored-filter.js';
import { StoredNotifications, type DeadLetter } from '../store/stored-notifications.js';
import { renderAge } from './age.js';
import { CommandFailure, EXIT, wrongUsage, type ExitCode } from './command-failure.js';
import { addDataSourceOption, withDataSource } from './data-source.loader.js';
import { findUnknownName } from './dead-letters.names.js';
import { parseCount } from './numbers.js';
import { Progress } from './progress.js';
import { assertStorage, storedOptions } from './storage.js';
import { printJson, printLine, printMessage, printTable, reportLine } from './terminal.js';

interface Chosen {
  readonly channel?: readonly string[];
  readonly id?: readonly string[];
  readonly listener?: string;
}

interface ListOptions extends Chosen {
  readonly dataSource: string;
  readonly limit: number;
  readonly all?: true;
  readonly json?: true;
}

interface RepairOptions extends Chosen {
  readonly dataSource: string;
  readonly all?: true;
  /** Only for `retry`. */
  readonly force?: true;
  readonly json?: true;
}

/** The repairs of dead letters, each with its participle and its description in the help. */
const REPAIRS = {
  retry: { done: 'retried', description: 'stores dead letters again, for the listener that failed' },
  discard: { done: 'discarded', description: 'deletes dead letters' },
} as const;

type Repair = keyof typeof REPAIRS;

/** `pgpubsub dead-letters list|retry|discard`. */
export function deadLettersCommand(program: Command, end: (code: ExitCode) => void): void {
  const group = program.command('dead-letters').description('lists, retries and discards dead letters');
  addChoice(addDataSourceOption(group.command('list')))
    .description('lists dead letters, oldest first')
    .option('--limit <count>', 'largest number to show', parseCount, 100)
    .option('--all', 'show all, regardless of --limit')
    .option('--json', 'print JSON with all that is stored')
    .action((options: ListOptions) =>
      withDataSource(options.dataSource, (dataSource) => list(dataSource, options)),
    );
  for (const repair of ['retry', 'discard'] as const) {
    const command = addChoice(addDataSourceOption(group.command(repair)))
      .description(REPAIRS[repair].description)
      .option('--all', 'all dead letters, or all that match the other options')
      .option('--json', 'print JSON')
      .action(async (options: RepairOptions) => {
        assertChoice(repair, options);
        const left = await withDataSource(options.dataSource, (dataSource) =>
          run(dataSource, repair, options),
        );
        if (left > 0) end(EXIT.failed);
      });
    if (repair === 'retry')
      command.option('--force', 'also those whose listener no running process has; they wait for one');
  }
}

const addChoice = (command: Command): Command =>
  command
    .option('--channel <name...>', 'only those of these channels')
    .option('--listener <name>', 'only those of this listener')
    .option('--id <id...>', 'only those of these notifications', collectId);

function collectId(text: string, ids: readonly string[] = []): string[] {
  if (!isId(text)) throw new InvalidArgumentError('An id is a number, as shown by "dead-letters list".');
  return [...ids, text];
}

/** Rejects a repair without a choice: all dead letters are repaired only where `--all` says so. */
function assertChoice(repair: Repair, { all, ...chosen }: RepairOptions): void {
  if (all || Object.keys(filterOf(chosen)).length > 0) return;
  throw wrongUsage(`dead-letters ${repair} requires --channel, --listener, --id or --all.`);
}

const filterOf = ({ channel, id, listener }: Chosen): StoredFilter => ({
  ...(channel && { channel }),
  ...(id && { id }),
  ...(listener !== undefined && { listener }),
});

async function list(dataSource: DataSource, options: ListOptions): Promise<void> {
  await assertStorage(dataSource);
  const filter = filterOf(options);
  const letters: DeadLetter[] = [];
  let isCut = false;
  for await (const letter of new StoredNotifications(storedOptions(dataSource)).deadLetters(filter)) {
    isCut = !options.all && letters.length === options.limit;
    if (isCut) break;
    letters.push(letter);
  }
  if (letters.length === 0) await printUnknownName(dataSource, options);
  if (options.json) return printJson({ deadLetters: letters, isCut });
  const isChosen = Object.keys(filter).length > 0;
  if (letters.length === 0)
    return printLine(isChosen ? 'No dead letters match.' : 'There are no dead letters.');
  printTable(['id', 'channel', 'listener', 'died', 'attempts', 'error'], letters.map(rowOf));
  if (isCut) printLine(`Only the first ${options.limit} are shown; --limit shows more, --all shows all.`);
}

const rowOf = ({ id, channel, listener, diedAt, attempts, lastError }: DeadLetter) => [
  id,
  channel,
  listener,
  `${renderAge(Math.max(0, Date.now() - diedAt.getTime()))} ago`,
  attempts,
  shortened(lastError?.split('\n', 1)[0] ?? ''),
];

const shortened = (line: string): string => (line.length > 80 ? `${line.slice(0, 79)}…` : line);

/** Returns the number of dead letters that are left because no process has their listener. */
async function run(dataSource: DataSource, repair: Repair, options: RepairOptions): Promise<number> {
  await assertStorage(dataSource);
  const isCautious = repair === 'retry' && !options.force;
  const batches = await DeadLetterBatches.begin(storedOptions(dataSource), filterOf(options), isCautious);
  const left = batches.left.reduce((sum, { count }) => sum + count, 0);
  if (batches.total + left === 0) await printUnknownName(dataSource, options);
  if (batches.total + left === 0 && options.id) throw noneOf(options.id);
  const { done } = REPAIRS[repair];
  using progress = new Progress({
    what: `dead letters ${done}`,
    total: batches.total,
    writeLine: reportLine, // stdout has the result
    terminal: process.stderr,
  });
  let count = 0;
  for await (const size of batches[repair]()) {
    count += size;
    progress.advance(size);
  }
  progress.end();
  if (options.json) printJson({ [done]: count, ...(left > 0 && { left }) });
  else printLine(`${done}: ${count}`);
  for (const letters of batches.left) printMessage(wordLeft(letters));
  return left;
}

const wordLeft = ({ channel, listener, count }: CountedListener): string =>
  `left ${counted(count, 'dead letter')} of channel "${channel}": no running process has the listener "${listener}". ` +
  'Start a process that has it and retry again, discard the letters, or let them wait for it with --force.';

/** Names a channel or listener that may be misspelt. No failure: it may just have no letters. */
async function printUnknownName(dataSource: DataSource, options: Chosen): Promise<void> {
  const unknown = await findUnknownName(dataSource, options);
  if (unknown !== undefined) printMessage(unknown);
}

const noneOf = (ids: readonly string[]) =>
  new CommandFailure(
    `there are no dead letters of the notification${ids.length === 1 ? '' : 's'} ${ids.join(', ')}. "pgpubsub dead-letters list" shows the existing ones.`,
    EXIT.failed,
  );
