// @ts-check
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';

/** The timeout of each step of a process, including its end. */
const DEADLINE_MS = 60_000;

/**
 * A terminal that runs the same command with each `start()`, and keeps all of its output. Ended by
 * `stop()` or `kill()`.
 */
export class Terminal {
  /** @type {string[]} */
  lines = [];
  /** @type {import('node:child_process').ChildProcess | undefined} while it runs */
  #child = undefined;
  /** Emits `change` after each line and at the end. */
  #changes = new EventEmitter();

  /** @param {string} command @param {string} cwd @param {NodeJS.ProcessEnv} env */
  constructor(command, cwd, env) {
    this.command = command;
    this.cwd = cwd;
    this.env = env;
  }

  start() {
    const { command, cwd, env } = this;
    const child = spawn('sh', ['-c', `exec ${command}`], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a process group, which gets signals as from a terminal
    });
    const kill = () => this.kill();
    this.#child = child;
    process.prependOnceListener('exit', kill); // before its directory is removed
    for (const stream of [child.stdout, child.stderr])
      createInterface(stream).on('line', (line) => {
        this.lines.push(line);
        this.#changes.emit('change');
      });
    child.once('close', () => {
      process.off('exit', kill);
      this.#child = undefined;
      this.#changes.emit('change');
    });
  }

  /** Returns how often a text has been printed. @param {string} text */
  count(text) {
    return this.lines.filter((line) => line.includes(text)).length;
  }

  /** Resolves when a text has been printed this number of times. @param {string} text */
  async prints(text, times = 1) {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    while (this.count(text) < times) {
      if (!this.#child) throw this.#failure(`print "${text}" before it ends`);
      await once(this.#changes, 'change', { signal }).catch((cause) => {
        throw this.#failure(`print "${text}" within ${DEADLINE_MS} ms`, cause);
      });
    }
  }

  /** Sends Ctrl-C; resolves when the command has ended and its output is complete. */
  async stop() {
    const child = this.#child;
    if (!child) return;
    const end = once(child, 'close', { signal: AbortSignal.timeout(DEADLINE_MS) });
    this.#signal('SIGINT');
    await end.catch((cause) => {
      throw this.#failure(`end within ${DEADLINE_MS} ms`, cause);
    });
  }

  kill() {
    this.#signal('SIGKILL');
  }

  /** Signals the command and its child processes. @param {NodeJS.Signals} signal */
  #signal(signal) {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error; // the group has ended
    }
  }

  /** @param {string} expected @param {unknown} [cause] */
  #failure(expected, cause) {
    const printed = this.lines.join('\n');
    return new Error(`expected ${this.command} to ${expected}; it printed\n${printed}`, { cause });
  }
}
