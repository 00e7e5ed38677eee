/** What every command ends with. */
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

/** What was asked for cannot be meant: exit code 2. */
export const wrongUsage = (message: string, options?: { cause?: unknown }): CommandFailure =>
  new CommandFailure(message, EXIT.usage, options);
