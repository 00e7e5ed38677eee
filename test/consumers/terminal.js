// @ts-check
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';

/** How long a process may take for what it should do soon, including its end. */
const DEADLINE_MS = 60_000;

/**
 * One of the reader's terminals: runs the same command whenever it is told to, and keeps all that was printed. Ended by
 * `stop()`, or killed by `kill()`.
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
      detached: true, // a process group of its own, which gets signals as it would from a terminal
    });
    const kill = () => this.kill();
    this.#child = child;
    process.prependOnceListener('exit', kill); // before what removes its directory
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

  /** How often it has been printed. @param {string} text */
  count(text) {
    return this.lines.filter((line) => line.includes(text)).length;
  }

  /** Resolves when it has been printed so often. @param {string} text */
  async prints(text, times = 1) {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    while (this.count(text) < times) {
      if (!this.#child) throw this.#unlike(`print "${text}" before it ends`);
      await once(this.#changes, 'change', { signal }).catch((cause) => {
        throw this.#unlike(`print "${text}" within ${DEADLINE_MS} ms`, cause);
      });
    }
  }

  /** As Ctrl-C does; resolves when it has ended and all of its output is here. */
  async stop() {
    const child = this.#child;
    if (!child) return;
    const end = once(child, 'close', { signal: AbortSignal.timeout(DEADLINE_MS) });
    this.#signal('SIGINT');
    await end.catch((cause) => {
      throw this.#unlike(`end within ${DEADLINE_MS} ms`, cause);
    });
  }

  kill() {
    this.#signal('SIGKILL');
  }

  /** To the command and all that it has started. @param {NodeJS.Signals} signal */
  #signal(signal) {
    const pid = this.#child?.pid;
    if (pid === undefined) return;
    try {
      process.kill(-pid, signal);
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error; // it has ended
    }
  }

  /** @param {string} expected @param {unknown} [cause] */
  #unlike(expected, cause) {
    const printed = this.lines.join('\n');
    return new Error(`expected ${this.command} to ${expected}; it printed\n${printed}`, { cause });
  }
}
