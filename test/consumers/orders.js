// @ts-check
import assert from 'node:assert/strict';
import pg from 'pg';
import { freePort } from '../../tools/embedded-postgres.js';

/** @typedef {import('./team.js').Team} Team */
/** @typedef {import('./terminal.js').Terminal} Terminal */
/** @typedef {{ web: string, worker?: string, env?: NodeJS.ProcessEnv }} Processes the commands; without a worker the web process listens */

/**
 * Places orders in a team's application over HTTP, and checks their notifications in the log of the
 * listening process and in the database.
 */
export class Orders {
  /** @type {string[] | undefined} the log of the first listening process */
  #log = undefined;

  /**
   * @param {Team} team
   * @param {string} databaseUrl
   * @param {string} [skipped] the line about global enhancers that do not run
   */
  constructor(team, databaseUrl, skipped) {
    this.team = team;
    this.databaseUrl = databaseUrl;
    this.skipped = skipped;
  }

  /**
   * Checks that the broadcast of each order is delivered, unless its transaction was rolled back.
   * The stored notification must fail once and be retried, or become a dead letter. Each listening
   * process must log the same.
   * @param {Processes} processes
   */
  async areHandled({ web, worker, env }) {
    const port = `${await freePort()}`;
    const application = this.team.open(web, { ...env, PORT: port, LISTEN: worker ? 'false' : 'true' });
    const listening = worker === undefined ? application : this.team.open(worker, env);
    try {
      for (const terminal of new Set([application, listening])) terminal.start();
      await application.prints(STARTED);
      await listening.prints(LISTENING);
      await listening.prints(CLAIMING);
      if (this.skipped) await listening.prints(this.skipped);
      await this.#query('delete from pgpubsub_dead_letter');
      await place(port, 'Mallory', 400);
      const printed = await place(port, 'Ada', 201);
      const dead = await place(port, 'Nobody', 201);
      await isLogged(listening, printed, dead);
      await listening.stop();
      await application.stop();
      await this.#isCommitted(printed, dead);
      this.#isLoggedAlike(listening, worker ?? web);
    } finally {
      application.kill();
      listening.kill();
    }
  }

  /** Checks an application that restarts when a file changes. @param {string} command @param {string} file */
  async areHandledAfterRestart(command, file) {
    const port = `${await freePort()}`;
    const application = this.team.open(command, { PORT: port });
    try {
      application.start();
      await application.prints(STARTED);
      this.team.touch(file);
      await application.prints(STARTED, 2);
      const id = await place(port, 'Ada', 201);
      await application.prints(`announced order ${id}`);
      await application.prints(`printed order ${id}`);
      await application.stop();
    } finally {
      application.kill();
    }
  }

  /** @param {number} printed @param {number} dead */
  async #isCommitted(printed, dead) {
    assert.deepEqual(await this.#query('select "orderId" from receipt where "orderId" >= $1', [printed]), [
      { orderId: printed },
    ]);
    const letters = await this.#query('select listener, last_error from pgpubsub_dead_letter');
    assert.deepEqual(
      letters.map(({ listener, last_error: error }) => [listener, error.split('\n', 1)[0]]),
      [['OrdersService.print', `NonRetryableError: order ${dead} has no customer`]],
    );
    assert.deepEqual(await this.#query('select from pgpubsub_notification'), []);
  }

  /** @param {Terminal} terminal @param {string} command */
  #isLoggedAlike({ lines }, command) {
    const log = lines.filter((line) => /order \d/.test(line)).map(withoutNumbers);
    log.sort(); // the order of a broadcast and a stored notification is undefined
    assert.equal(log.filter((line) => line.includes('announced order')).length, 2, log.join('\n'));
    this.#log ??= log;
    assert.deepEqual(log, this.#log, `expected ${command} to log the same as the previous process`);
  }

  /** @param {string} sql @param {unknown[]} [values] @returns {Promise<any[]>} */
  async #query(sql, values) {
    const client = new pg.Client(this.databaseUrl);
    await client.connect();
    try {
      return (await client.query(sql, values)).rows;
    } finally {
      await client.end();
    }
  }
}

const STARTED = 'The application is running on'; // listeners start before
const LISTENING = 'Listening to';
const CLAIMING = 'Handling stored notifications of';

/** Resolves with the number of the order, or `undefined`. @param {string} port @param {string} customer @param {number} status */
async function place(port, customer, status) {
  const response = await fetch(`http://127.0.0.1:${port}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ customer }),
  });
  const answer = /** @type {any} */ (await response.json());
  assert.equal(response.status, status, JSON.stringify(answer));
  return (answer.data ?? answer).id;
}

/** @param {Terminal} terminal @param {number} printed @param {number} dead */
async function isLogged(terminal, printed, dead) {
  for (const order of [printed, dead]) await terminal.prints(`announced order ${order}`);
  await terminal.prints(`: no paper for order ${printed}`);
  await terminal.prints(`printed order ${printed}`);
  await terminal.prints(`: order ${dead} has no customer`);
}

/** Returns a line of Nest's logger without its time and numbers. @param {string} line */
const withoutNumbers = (line) => line.replace(/^\[Nest\].*?M +/, '').replaceAll(/\d+/g, '#');
