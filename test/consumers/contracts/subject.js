// @ts-check
import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';

/** The timeout of one check. */
const DEADLINE_MS = 5_000;

/**
 * @typedef {object} Cell the CommonJS modules, untyped because there are several versions
 * @property {string} url
 * @property {(file: string) => Promise<any>} load loads a compiled file of the library by its path
 * in `dist/`
 * @property {any} pg
 * @property {any} typeorm
 * @property {any} Cursor
 * @property {any} QueryStream
 * @property {any} copyFrom
 */

/** The subject of the checks: its name, its modules and its connections. */
export class Subject {
  /** @type {any[]} */
  #clients = [];
  /** @type {any} */
  #observer;

  /** @param {string} name @param {import('../checks.js').Checks} checks @param {Cell} cell */
  constructor(name, checks, cell) {
    this.name = name;
    this.checks = checks;
    this.cell = cell;
    this.entities = createEntities(cell.typeorm);
  }

  /** @param {string} name begins with the member that is checked @param {() => Promise<unknown>} act */
  async check(name, act) {
    await this.checks.check(`${this.name}: ${name}`, () => inTime(act()));
  }

  /** Returns a client of pg, which `close()` ends. @param {object} [options] */
  async connect(options) {
    const client = new this.cell.pg.Client({ connectionString: this.cell.url, ...options });
    client.on('error', () => undefined); // some checks end the session
    await client.connect();
    this.#clients.push(client);
    return client;
  }

  /** Calls `use` with an initialized DataSource. @param {object} options @param {(dataSource: any) => Promise<unknown>} use */
  async withDataSource(options, use) {
    const dataSource = this.createDataSource(options);
    await dataSource.initialize();
    try {
      await use(dataSource);
    } finally {
      await dataSource.destroy();
    }
  }

  /** @param {object} options */
  createDataSource(options) {
    const { typeorm, pg, url } = this.cell;
    return new typeorm.DataSource({ type: 'postgres', driver: pg, url, poolSize: 2, ...options });
  }

  /** Uses a separate connection. @param {string} sql @param {unknown[]} [values] @returns {Promise<any[]>} */
  async query(sql, values) {
    this.#observer ??= await this.connect();
    return (await this.#observer.query(sql, values)).rows;
  }

  async createTables() {
    await this.query(`
      create table note (id serial primary key, what text not null);
      create table author (id serial primary key, name text not null);
      create table book (id serial primary key, title text not null, "authorId" int references author);
      insert into author (name) values ('Ursula');
      insert into book (title, "authorId") values ('Lathe', 1), ('Left Hand', 1);
    `);
  }

  /** @returns {Promise<string[]>} */
  async notes() {
    return (await this.query('select what from note order by id')).map(({ what }) => what);
  }

  /** Resolves when the session has ended. @param {number} processId */
  sessionEnds(processId) {
    const sql = 'select from pg_stat_activity where pid = $1';
    return until(async () => (await this.query(sql, [processId])).length === 0, 'the session to end');
  }

  /** Resolves when the session waits in `pg_sleep()`. @param {number} processId */
  sessionSleeps(processId) {
    const sql = "select from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'";
    return until(async () => (await this.query(sql, [processId])).length === 1, 'the session to sleep');
  }

  async close() {
    for (const client of this.#clients) await client.end();
  }
}

/** @param {() => unknown} holds @param {string} what */
export async function until(holds, what) {
  for (const deadline = Date.now() + 5_000; !(await holds()); await setTimeout(5))
    assert(Date.now() < deadline, `expected ${what} within 5 s`);
}

/** @param {Promise<unknown>} work */
async function inTime(work) {
  const abort = new AbortController();
  const late = setTimeout(DEADLINE_MS, undefined, { signal: abort.signal }).then(
    () => Promise.reject(new Error(`the check did not end within ${DEADLINE_MS} ms`)),
    () => undefined,
  );
  try {
    await Promise.race([work, late]);
  } finally {
    abort.abort();
  }
}

/** Creates two entities with lazy relations to each other. @param {any} typeorm */
function createEntities({ EntitySchema }) {
  class Author {}
  class Book {}
  const id = { type: 'int', primary: true, generated: true };
  return {
    Author,
    Book,
    all: [
      new EntitySchema({
        name: 'Author',
        target: Author,
        tableName: 'author',
        columns: { id, name: { type: 'text' } },
        relations: { books: { type: 'one-to-many', target: 'Book', inverseSide: 'author', lazy: true } },
      }),
      new EntitySchema({
        name: 'Book',
        target: Book,
        tableName: 'book',
        columns: { id, title: { type: 'text' } },
        relations: { author: { type: 'many-to-one', target: 'Author', inverseSide: 'books', lazy: true } },
      }),
    ],
  };
}
