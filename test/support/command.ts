import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const fromHere = (file: string) => fileURLToPath(new URL(file, import.meta.url));

export const PROGRAM = fromHere('../../dist/cli/main.js');

/** The DataSource of `test/e2e/apps/stored`. */
export const STORED_DATA_SOURCE = fromHere('../e2e/apps/.build/stored/data-source.js');

/** The exit code and the output of a command. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the built `pgpubsub` as a process of its own, and waits for its end. */
export const pgpubsub = (args: readonly string[], environment: Record<string, string> = {}): Promise<Ended> =>
  execute(process.execPath, [PROGRAM, ...args], environment);

/** The program that gives a command a terminal; it takes other arguments on other systems. */
const SCRIPT = '/usr/bin/script';
export const hasTerminal = process.platform === 'linux' && existsSync(SCRIPT);

/**
 * Runs `pgpubsub` on a terminal, 120 columns wide: `stdout` is all that is written to it, errors
 * included.
 */
export function pgpubsubOnTerminal(
  args: readonly string[],
  environment: Record<string, string>,
): Promise<Ended> {
  const command = [process.execPath, PROGRAM, ...args].map((word) => `'${word}'`).join(' ');
  return execute(SCRIPT, ['-qec', `stty cols 120; exec ${command}`, '/dev/null'], environment);
}

function execute(
  program: string,
  args: readonly string[],
  environment: Record<string, string>,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...environment };
    const options = { env, timeout: 60_000, maxBuffer: 50_000_000 };
    execFile(program, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : error.code;
      if (typeof code === 'number') resolve({ code, stdout, stderr });
      else reject(error ?? new Error('expected an exit code, got none')); // killed, or not started
    });
  });
}
