// @ts-check
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/**
 * Runs a program to its end, which is after five minutes or with this process at the latest. When it fails, the
 * error shows what it printed.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {string} cwd
 * @param {NodeJS.ProcessEnv} env
 */
export async function run(program, args, cwd, env = process.env) {
  const running = promisify(execFile)(program, args, { cwd, env, timeout: 300_000, killSignal: 'SIGKILL' });
  running.child.stdin?.end(); // nobody answers
  const kill = () => running.child.kill('SIGKILL');
  process.prependOnceListener('exit', kill); // before what removes its directory
  try {
    await running;
  } catch (error) {
    const { message, stdout } = /** @type {Error & { stdout?: string }} */ (error); // the message ends with stderr
    throw new Error(`${message}\n${stdout ?? ''}`, { cause: error });
  } finally {
    process.off('exit', kill);
  }
}
