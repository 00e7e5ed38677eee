import { Command, CommanderError } from 'commander';
import { isPgPubSubError, messageOf, type PgPubSubErrorCode } from '../common/errors.js';
import { VERSION } from '../common/version.js';
import { checkCommand } from './check.command.js';
import { CommandFailure, EXIT, type ExitCode } from './command-failure.js';
import { deadLettersCommand } from './dead-letters.command.js';
import { doctorCommand } from './doctor.command.js';
import { listenCommand } from './listen.command.js';
import { migrateCommand } from './migrate.command.js';
import { statusCommand } from './status.command.js';

/** Runs one command to its end; never rejects. What a command returns is the exit code. */
export async function runProgram(args: readonly string[]): Promise<number> {
  let code: ExitCode = EXIT.good;
  const program = createProgram((result) => (code = result));
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    return explain(error);
  }
}

/** All commands; `end` gets what a command ends with. */
export function createProgram(end: (code: ExitCode) => void): Command {
  const program = new Command('pgpubsub')
    .description('Runs and looks after the listeners of nestjs-pgpubsub.')
    .version(VERSION, '--version')
    .exitOverride() // instead of ending the process with 1 for wrong usage
    .showHelpAfterError('(add --help for what is possible)');
  for (const add of [
    listenCommand,
    checkCommand,
    migrateCommand,
    statusCommand,
    deadLettersCommand,
    doctorCommand,
  ])
    add(program, end);
  return program;
}

/** One sentence on stderr; commander has written its own. */
function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.good : EXIT.usage;
  process.stderr.write(`pgpubsub: ${messageOf(error)}\n`);
  if (isPgPubSubError(error) && OF_OPTIONS.has(error.code)) return EXIT.usage;
  return error instanceof CommandFailure ? error.exitCode : EXIT.failed;
}

/** What is wrong with the value of an option. */
const OF_OPTIONS: ReadonlySet<PgPubSubErrorCode> = new Set(['INVALID_ARGUMENT', 'INVALID_CHANNEL']);
