import type { Command } from 'commander';
import type { ExitCode } from './command-failure.js';

export function checkCommand(program: Command, _end: (code: ExitCode) => void): void {
  program.command('check');
}
