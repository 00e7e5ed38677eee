import { CommanderError } from 'commander';
import { isPgPubSubError, messageOf, type PgPubSubErrorCode } from '../common/errors.js';
import { printMessage } from './terminal.js';

/** The exit codes of all commands. */
export const EXIT = { good: 0, failed: 1, usage: 2 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Ends a command with a sentence instead of a stack trace. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';

  constructor(
    message: string,
    readonly exitCode: Exclude<ExitCode, 0>,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** Returns the failure of a command with wrong arguments: exit code 2. */
export const wrongUsage = (message: string, options?: { cause?: unknown }): CommandFailure =>
  new CommandFailure(message, EXIT.usage, options);

/** Writes one sentence to stderr, unless commander has written one, and returns the exit code. */
export function printFailure(error: unknown): ExitCode {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.good : EXIT.usage;
  printMessage(messageOf(error));
  if (isPgPubSubError(error) && OPTION_CODES.has(error.code)) return EXIT.usage;
  return error instanceof CommandFailure ? error.exitCode : EXIT.failed;
}

/** The codes of errors about the value of an option. */
const OPTION_CODES: ReadonlySet<PgPubSubErrorCode> = new Set(['INVALID_ARGUMENT', 'INVALID_CHANNEL']);
