import { Option, type Command } from 'commander';
import { CONNECTION_URL, describeNoUrl } from '../common/connection-url.js';
import { escapeControls } from '../common/log-text.js';
import { EXIT, wrongUsage, type ExitCode } from './command-failure.js';
import { addDataSourceOption, withDataSource } from './data-source.loader.js';
import { runChecks } from './doctor/doctor.js';
import { SEVERITIES, type DoctorResult } from './doctor/doctor-check.js';
import { parseSeconds } from './numbers.js';
import { printJson, printLine, printTable } from './terminal.js';

interface DoctorOptions {
  readonly dataSource: string;
  readonly listenUrl?: string;
  readonly maxTransactionAge: number;
  readonly maxBacklogAge: number;
  readonly json?: true;
}

/** `pgpubsub doctor`: finds problems of delivery, and names the remedies. */
export function doctorCommand(program: Command, end: (code: ExitCode) => void): void {
  addDataSourceOption(program.command('doctor'))
    .description('diagnoses what prevents notifications from being delivered, and names the remedy')
    .addOption(
      new Option(
        '--listen-url <url>',
        'address of the LISTEN connection, if the module has the option "connection"',
      ).env(LISTEN_URL),
    )
    .option(
      '--max-transaction-age <seconds>',
      'longest time that a transaction may be open',
      parseSeconds,
      60,
    )
    .option('--max-backlog-age <seconds>', 'longest time that a notification may be due', parseSeconds, 300)
    .option('--json', 'print JSON')
    .action(async (options: DoctorOptions, command: Command) => {
      assertUrl(options.listenUrl, command.getOptionValueSource('listenUrl') === 'env');
      const results = await withDataSource(options.dataSource, (dataSource) =>
        runChecks({
          dataSource,
          listenUrl: options.listenUrl,
          maxTransactionAgeMs: options.maxTransactionAge * 1_000,
          maxBacklogAgeMs: options.maxBacklogAge * 1_000,
        }),
      );
      const worst = worstOf(results);
      if (options.json) printJson({ worst, findings: results });
      else print(results);
      end(worst === 'bad' ? EXIT.failed : EXIT.good);
    });
}

/** The variable keeps a URL with a password out of the process list and the shell's history. */
const LISTEN_URL = 'PGPUBSUB_LISTEN_URL';

/** Not checked by commander, whose error would show the URL. */
function assertUrl(listenUrl: string | undefined, isFromEnvironment: boolean): void {
  const got = listenUrl === undefined ? undefined : describeNoUrl(listenUrl);
  const source = isFromEnvironment ? `the environment variable ${LISTEN_URL}` : '--listen-url';
  if (got !== undefined) throw wrongUsage(`expected ${source} to be ${CONNECTION_URL}, got ${got}.`);
}

const worstOf = (results: readonly DoctorResult[]) =>
  SEVERITIES.findLast((severity) => results.some((result) => result.severity === severity)) ?? 'good';

/** Prints a table of all results, then the problems in detail, the worst first. */
function print(results: readonly DoctorResult[]): void {
  printTable(
    ['check', '', 'found'],
    results.map(({ check, severity, found }) => [check, severity, shortened(found)]),
  );
  for (const severity of SEVERITIES.toReversed())
    if (severity !== 'good') printAll(results.filter((result) => result.severity === severity));
  if (worstOf(results) === 'good') printLine('No problems found.');
}

/** Explains the results of a check once if they share their meaning and remedy. */
function printAll(results: readonly DoctorResult[]): void {
  const alike = new Map<string, DoctorResult[]>();
  for (const result of results) {
    const kind = JSON.stringify([result.check, result.means, result.remedy]);
    alike.set(kind, [...(alike.get(kind) ?? []), result]);
  }
  for (const same of alike.values()) printLine(renderResults(same));
}

const renderResults = ([first, ...others]: readonly DoctorResult[]): string =>
  first === undefined
    ? ''
    : [
        `\n${first.severity}: ${first.check}`,
        ...[first, ...others].map(({ found }) => `  ${escapeControls(found)}`),
        `  Meaning: ${first.means}`,
        `  Remedy:  ${first.remedy}`,
      ].join('\n');

const MAX_WIDTH = 90;

const shortened = (text: string): string =>
  text.length > MAX_WIDTH ? `${text.slice(0, MAX_WIDTH - 1)}…` : text;
