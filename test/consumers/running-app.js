// @ts-check
import { fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';

/** The timeout of each step of an application, including its end. */
const DEADLINE_MS = 60_000;

/** @typedef {import('./src/greeting.js').Greeting} Greeting */
/** @typedef {import('./src/greeting.js').Report} Report */

/** The process of one application, and its reports over IPC. Ended by `close()` or `kill()`. */
export class RunningApp {
  /** @type {Report[]} */
  reports = [];
  output = '';
  /** @type {string | undefined} the exit code or the signal, once it has ended */
  end = undefined;
  /** Emits `change` after each report and at the end. */
  #changes = new EventEmitter();

  /** @param {string} name @param {string} program @param {string} databaseUrl */
  constructor(name, program, databaseUrl) {
    this.name = name;
    const env = { ...process.env, DATABASE_URL: databaseUrl };
    this.child = fork(program, [name], { env, silent: true });
    this.child.on('message', (report) => {
      this.reports.push(/** @type {Report} */ (report));
      this.#changes.emit('change');
    });
    void this.#watch();
  }

  /** Resolves when its LISTEN is active. */
  async ready() {
    await this.#until(() => this.reports.some(({ type }) => type === 'ready'), 'to be ready');
  }

  greet() {
    this.child.send('greet');
  }

  /**
   * Resolves with the ways of the greetings received from another application, after the last one.
   * @param {RunningApp} sender
   * @param {'handled' | 'observed'} type
   */
  async greetingsOf(sender, type) {
    const received = () => this.#received(sender, type);
    await this.#until(() => received().includes('pool'), `to report ${type} greetings of ${sender.name}`);
    return received();
  }

  /** Disconnects, upon which the application closes; resolves when its process ends by itself. */
  async close() {
    this.child.disconnect();
    await this.#until(() => this.end !== undefined, 'to end by itself after app.close()');
    if (this.end !== '0') throw new Error(`ended with ${this.end}\n${this.output}`);
  }

  kill() {
    if (this.end === undefined) this.child.kill('SIGKILL');
  }

  /** Does not use the event `close`, which Node 20 never emits after `disconnect()`. */
  async #watch() {
    const exit = once(this.child, 'exit');
    const streams = [this.child.stdout, this.child.stderr].map(async (stream) => {
      for await (const chunk of stream ?? []) this.output += chunk;
    });
    const [[code, signal]] = await Promise.all([exit, ...streams]);
    this.end = signal ?? `${code}`;
    this.#changes.emit('change');
  }

  /** @param {RunningApp} sender @param {Report['type']} type */
  #received(sender, type) {
    return this.reports.flatMap((report) => {
      if (report.type === 'ready' || report.type !== type || report.from !== sender.name) return [];
      return report.sender === sender.child.pid ? [report.way] : [`${report.way} by ${report.sender}`];
    });
  }

  /** @param {() => boolean} holds @param {string} what */
  async #until(holds, what) {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    while (!holds()) {
      if (this.end !== undefined)
        throw new Error(`waited for ${this.name} ${what}, but it ended with ${this.end}\n${this.output}`);
      await once(this.#changes, 'change', { signal }).catch((cause) => {
        const seen = `${JSON.stringify(this.reports)}\n${this.output}`;
        throw new Error(`waited ${DEADLINE_MS} ms for ${this.name} ${what}; it reported ${seen}`, { cause });
      });
    }
  }
}
