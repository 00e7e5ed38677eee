// @ts-check
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/**
 * Runs a program to its end. A program that runs for five minutes or longer than this process is
 * killed. The error of a failed program contains its output.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {string} cwd
 * @param {NodeJS.ProcessEnv} env
 */
export async function run(program, args, cwd, env = process.env) {
  const running = promisify(execFile)(program, args, { cwd, env, timeout: 300_000, killSignal: 'SIGKILL' });
  running.child.stdin?.end(); // questions get no answer
  const kill = () => running.child.kill('SIGKILL');
  process.prependOnceListener('exit', kill); // before its directory is removed
  try {
    await running;
  } catch (error) {
    const { message, stdout } = /** @type {Error & { stdout?: string }} */ (error); // the message ends with stderr
    throw new Error(`${message}\n${stdout ?? ''}`, { cause: error });
  } finally {
    process.off('exit', kill);
  }
}
