// @ts-check
import assert from 'node:assert/strict';
import pg from 'pg';
import { freePort } from '../../tools/embedded-postgres.js';
import { parseCurl, parsePsql } from './client-commands.js';
import { Terminal } from './terminal.js';

/** @typedef {{ terminal: Terminal, port: string, freePort: number }} Application `port` is the one of the page */

/**
 * The processes of an application in their terminals, and their database, as the reader of a page
 * uses them. psql and curl need not be installed. `close()` ends the processes.
 */
export class Newsroom {
  /** @type {Application[]} */
  #applications = [];
  #sql = '';
  /** The line that a process has logged about it. */
  #answer = '';

  /** @param {import('./reader.js').Reader} reader */
  constructor(reader) {
    this.reader = reader;
  }

  get terminals() {
    return this.#applications.map(({ terminal }) => terminal);
  }

  /** @param {string} command @param {string} port */
  async open(command, port) {
    const free = await freePort();
    const { directory, env } = this.reader;
    const terminal = new Terminal(command, directory, { ...env, PORT: `${free}` });
    this.#applications.push({ terminal, port, freePort: free });
    await startApplication(terminal);
  }

  /** @param {string} command */
  async psql(command) {
    const { sql, databaseUrl } = await parsePsql(command, this.reader.env);
    assert.equal(databaseUrl, this.reader.env.DATABASE_URL);
    this.#sql = sql;
    await this.#query(sql);
  }

  /** @param {string} command */
  async curl(command) {
    const { url, request } = await parseCurl(command, this.reader.env);
    const application = this.#applications.find(({ port }) => port === url.port);
    assert(application, `expected an application on port ${url.port}`);
    url.port = `${application.freePort}`;
    const { ok, status } = await fetch(url, request);
    assert(ok, `expected ${command} to succeed, got ${status}`);
  }

  /** Resolves when any terminal prints the line. @param {string} line */
  async seesInOne(line) {
    await Promise.any(this.terminals.map((terminal) => terminal.prints(line)));
    this.#answer = line;
  }

  /** Stops all processes. Together they must have logged one answer and written one post. */
  async stopsAll() {
    for (const terminal of this.terminals) await terminal.stop();
    const count = this.terminals.reduce((sum, terminal) => sum + terminal.count(this.#answer), 0);
    assert.equal(count, 1, `expected "${this.#answer}" once`);
    assert.equal((await this.#query('select from post')).length, 1, 'expected one post');
  }

  /** Repeats the last SQL with another name, while no process runs. @param {string} name */
  async insertsMeanwhile(name) {
    const [first, ...others] = this.terminals;
    assert(first, 'expected an application');
    const before = /'(\w+)'/.exec(this.#sql)?.[1] ?? '';
    await this.#query(this.#sql.replace(before, name));
    await startApplication(first);
    await first.prints(this.#answer.replace(before, name));
    for (const terminal of others) await startApplication(terminal);
  }

  /** Verifies that each terminal prints the line this number of times. @param {string} line @param {number} times */
  async seesEverywhere(line, times) {
    for (const terminal of this.terminals) await terminal.prints(line, times);
    for (const terminal of this.terminals) await terminal.stop();
    for (const terminal of this.terminals) assert.equal(terminal.count(line), times);
  }

  seesNoWarning() {
    const lines = this.terminals.flatMap((terminal) => terminal.lines);
    const warnings = lines.filter((line) => / (?:WARN|ERROR|FATAL) /.test(line));
    assert.deepEqual(warnings, []);
  }

  close() {
    for (const terminal of this.terminals) terminal.kill();
  }

  /** @param {string} sql */
  async #query(sql) {
    const client = new pg.Client(this.reader.env.DATABASE_URL);
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }
}

/** @param {Terminal} terminal */
async function startApplication(terminal) {
  const line = 'Nest application successfully started';
  const times = terminal.count(line) + 1;
  terminal.start();
  await terminal.prints(line, times);
}
