import { Command } from 'commander';
import { VERSION } from '../common/version.js';
import { checkCommand } from './check.command.js';
import { EXIT, type ExitCode } from './command-failure.js';
import { deadLettersCommand } from './dead-letters.command.js';
import { doctorCommand } from './doctor.command.js';
import { listenCommand } from './listen.command.js';
import { migrateCommand } from './migrate.command.js';
import { statusCommand } from './status.command.js';

/** Runs a command. Resolves to the exit code; rejects with the error that prevents its work. */
export async function runProgram(args: readonly string[]): Promise<ExitCode> {
  let code: ExitCode = EXIT.good;
  await createProgram((result) => (code = result)).parseAsync(args, { from: 'user' });
  return code;
}

/** Creates all commands; `end` receives the exit code. */
export function createProgram(end: (code: ExitCode) => void): Command {
  const program = new Command('pgpubsub')
    .description('Runs and inspects the listeners of nestjs-pgpubsub.')
    .version(VERSION, '--version')
    .exitOverride() // otherwise commander exits with 1 for wrong usage
    .showHelpAfterError('(--help lists the options)');
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
