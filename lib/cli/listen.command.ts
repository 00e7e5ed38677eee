import type { Command } from 'commander';
import type { ExitCode } from './command-failure.js';

export function listenCommand(program: Command, _end: (code: ExitCode) => void): void {
  program.command('listen');
}
