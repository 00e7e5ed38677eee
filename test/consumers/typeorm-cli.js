// @ts-check
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import pg from 'pg';

/** Queries for the objects of a database, without TypeORM's table of migrations. */
const SNAPSHOT = [
  `select p.proname, pg_get_functiondef(p.oid) as definition, obj_description(p.oid, 'pg_proc') as comment
    from pg_proc p where p.pronamespace = 'public'::regnamespace order by 1`,
  `select t.tgname, t.tgenabled, pg_get_triggerdef(t.oid) as definition, obj_description(t.oid, 'pg_trigger') as comment
    from pg_trigger t where not t.tgisinternal order by 1`,
  `select table_name, column_name, data_type, column_default from information_schema.columns
    where table_schema = 'public' and table_name <> 'migrations' order by 1, 2`,
];

/**
 * @typedef {object} Project
 * @property {string} cli the program of the TypeORM version
 * @property {string} dataSource the compiled `test/e2e/apps/typeorm-cli/data-source.ts`
 * @property {string} migrations an empty directory, with the project's kind of modules
 * @property {boolean} [esm]
 * @property {'plain'} [first] the first declaration, if TypeORM is too old for `first`
 * @property {string} databaseUrl the URL of an empty database
 */

/** The number of functions of storage version 1. */
const STORAGE_FUNCTIONS = 6;

/** Steps for TypeORM's command line with a DataSource in `withPgPubSub()`. */
export class TypeOrmCli {
  /** @type {unknown[][]} */
  #installed = [];

  /** @param {Project} project */
  constructor(project) {
    this.project = project;
  }

  /** Each step depends on the previous ones. */
  get steps() {
    return /** @type {[name: string, act: () => Promise<void>][]} */ ([
      [
        'migration:generate writes tables, the storage, functions and triggers',
        () => this.#generatesEverything(),
      ],
      ['migration:run runs it, and leaves nothing to generate', () => this.#runs()],
      ['migration:generate --check fails for a function changed by hand', () => this.#findsChange()],
      ['migration:generate --check fails for a disabled trigger', () => this.#findsDisabled()],
      ['migration:generate --check fails for a missing trigger', () => this.#findsMissing()],
      ['migration:generate --pretty of a changed declaration runs and reverts', () => this.#changes()],
      ['an exactly-once declaration replaces the triggers', () => this.#stores()],
      [
        'a removed declaration drops functions and triggers, and its revert restores them',
        () => this.#removes(),
      ],
      ['migration:revert removes everything', () => this.#reverts()],
      ['schema:log prints the statements, schema:sync runs them', () => this.#synchronizes()],
      ['schema:sync creates everything again after schema:drop', () => this.#reinstalls()],
      [
        'schema:sync succeeds in three processes at once, with one connection each',
        () => this.#synchronizesConcurrently(),
      ],
    ]);
  }

  async #generatesEverything() {
    const text = await this.#generate('First');
    const verbs = [
      'CREATE TABLE',
      'create table',
      'comment on table',
      'create or replace function',
      'create trigger',
    ];
    for (const verb of [
      ...verbs,
      'comment on function',
      'drop trigger',
      'drop function',
      'drop table',
      'DROP TABLE',
    ])
      assert(text.includes(verb), `expected "${verb}" in ${text}`);
    assert.deepEqual((await this.#snapshot()).flat(), [], 'generating changes nothing');
  }

  async #runs() {
    await this.#succeeds('migration:run');
    this.#installed = await this.#snapshot();
    const [functions = [], triggers = []] = this.#installed;
    assert.deepEqual([functions.length, triggers.length], [STORAGE_FUNCTIONS + 1, 7]);
    const { code, output } = await this.#run('migration:generate', this.#path('Second'));
    assert.equal(code, 1);
    assert.match(output, /No changes in database schema were found/);
    await this.#checks(0);
  }

  #findsChange() {
    return this.#findsDrift(
      ({ generated }) =>
        `create or replace function ${generated}() returns trigger language plpgsql as 'begin return null; end'`,
      /create or replace function/,
    );
  }

  #findsDisabled() {
    return this.#findsDrift(
      ({ trigger }) => `alter table author disable trigger ${trigger}`,
      /enable trigger/,
    );
  }

  #findsMissing() {
    return this.#findsDrift(({ trigger }) => `drop trigger ${trigger} on author`, /create trigger/);
  }

  /**
   * Checks that a manual change is found, and that `schema:sync` repairs it.
   * @param {(names: { trigger: string, generated: string }) => string} drift
   * @param {RegExp} repair matches the statement that `migration:generate` prints
   */
  async #findsDrift(drift, repair) {
    const [{ generated }] = await this.#query(
      "select proname as generated from pg_proc where proname ~ '^pgpubsub_author_.*_[0-9a-f]{8}$'",
    );
    await this.#query(drift({ trigger: '_pgpubsub_author_insert', generated }));
    assert.match(await this.#checks(1), repair);
    await this.#succeeds('schema:sync');
    assert.deepEqual(await this.#snapshot(), this.#installed);
  }

  async #changes() {
    const text = await this.#generate('Changed', 'changed', '--pretty');
    assert.match(text, /drop trigger [^]*create or replace function [^]*async down/);
    await this.#succeeds('migration:run', 'changed');
    await this.#checks(0, 'changed');
    const [functions = [], triggers = []] = await this.#snapshot();
    assert.deepEqual([functions.length, triggers.length], [STORAGE_FUNCTIONS + 1, 3]);
    await this.#succeeds('migration:revert', 'changed');
    assert.deepEqual(await this.#snapshot(), this.#installed);
    this.#forget('Changed');
  }

  async #stores() {
    const text = await this.#generate('Stored', 'stored', '--pretty');
    assert.match(text, /drop trigger [^]*create trigger [^]*async down/);
    await this.#succeeds('migration:run', 'stored');
    await this.#checks(0, 'stored');
    await this.#query(`insert into author (name) values ('a')`);
    const [stored] = await this.#query('select key, schema_version from pgpubsub_notification');
    assert.match(`${stored.key} ${stored.schema_version}`, /^1 Stored[0-9]+$/);
    await this.#query('delete from author');
    await this.#succeeds('migration:revert', 'stored');
    assert.deepEqual(await this.#snapshot(), this.#installed);
    this.#forget('Stored');
  }

  async #removes() {
    await this.#generate('Removed', 'none');
    await this.#succeeds('migration:run', 'none');
    const [functions, triggers] = await this.#snapshot();
    assert.deepEqual([functions, triggers], [[], []]);
    await this.#succeeds('migration:revert');
    assert.deepEqual(await this.#snapshot(), this.#installed);
    this.#forget('Removed');
  }

  /** Reverts the first migration; `#removes()` has reverted the other one. */
  async #reverts() {
    await this.#succeeds('migration:revert');
    assert.deepEqual((await this.#snapshot()).flat(), []);
  }

  async #synchronizes() {
    assert.match(await this.#succeeds('schema:log'), /CREATE TABLE [^]*create trigger/);
    assert.deepEqual((await this.#snapshot()).flat(), []);
    await this.#succeeds('schema:sync');
    assert.deepEqual(await this.#snapshot(), this.#installed);
    assert.match(await this.#succeeds('schema:log'), /up to date/);
  }

  async #reinstalls() {
    await this.#succeeds('schema:drop');
    const [, triggers, columns] = await this.#snapshot();
    assert.deepEqual([triggers, columns], [[], []]);
    await this.#succeeds('schema:sync');
    assert.deepEqual(await this.#snapshot(), this.#installed);
  }

  /** Starts the processes while another session creates the same table, which they cannot see. */
  async #synchronizesConcurrently() {
    await this.#succeeds('schema:drop');
    const client = new pg.Client(this.project.databaseUrl);
    await client.connect();
    await client.query('begin; create table author ()');
    const synchronizing = Promise.all([1, 2, 3].map(() => this.#succeeds('schema:sync')));
    await Promise.race([synchronizing, this.#waiting(3)]);
    await client.query('rollback');
    await client.end();
    await synchronizing;
    assert.deepEqual(await this.#snapshot(), this.#installed);
  }

  /** Resolves when this number of sessions waits for locks. @param {number} count */
  async #waiting(count) {
    const sql = `select count(*)::int as n from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`;
    for (const deadline = Date.now() + 30_000; ; await setTimeout(50)) {
      const [{ n }] = await this.#query(sql);
      if (n === count) return;
      assert(Date.now() < deadline, `expected ${count} sessions to wait for locks within 30 s, got ${n}`);
    }
  }

  /**
   * Resolves with the text of the migration.
   * @param {string} name @param {string} [declaration] @param {string[]} options
   */
  async #generate(name, declaration, ...options) {
    const kind = ['--outputJs', ...(this.project.esm ? ['--esm'] : [])];
    const { code, output } = await this.#run(
      'migration:generate',
      this.#path(name),
      declaration,
      ...kind,
      ...options,
    );
    assert.equal(code, 0, output);
    return fs.readFileSync(this.#file(name), 'utf8');
  }

  /** @param {0 | 1} expected @param {string} [declaration] */
  async #checks(expected, declaration) {
    const { code, output } = await this.#run(
      'migration:generate',
      this.#path('Check'),
      declaration,
      '--check',
    );
    assert.equal(code, expected, output);
    return output;
  }

  /** @param {string} command @param {string} [declaration] */
  async #succeeds(command, declaration) {
    const { code, output } = await this.#run(command, undefined, declaration);
    assert.equal(code, 0, output);
    return output;
  }

  /** @param {string} name */
  #path(name) {
    return path.join(this.project.migrations, name);
  }

  /** @param {string} name */
  #file(name) {
    const file = fs.readdirSync(this.project.migrations).find((entry) => entry.endsWith(`-${name}.js`));
    assert(file !== undefined, `expected a migration ${name}`);
    return this.#path(file);
  }

  /** @param {string} name */
  #forget(name) {
    fs.rmSync(this.#file(name));
  }

  /**
   * @param {string} command @param {string | undefined} file @param {string} declaration @param {string[]} options
   * @returns {Promise<{ code: unknown, output: string }>}
   */
  #run(command, file, declaration = this.project.first ?? 'first', ...options) {
    const { cli, dataSource, migrations, databaseUrl } = this.project;
    const args = [cli, command, ...(file === undefined ? [] : [file]), '-d', dataSource, ...options];
    const variables = {
      DECLARATION: declaration,
      DATABASE_URL: databaseUrl,
      MIGRATIONS: migrations,
      NO_COLOR: '1',
    };
    const env = { ...process.env, ...variables };
    return new Promise((resolve) => {
      const cwd = path.dirname(dataSource);
      execFile(process.execPath, args, { cwd, env, timeout: 60_000 }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : error.code, output: `${stdout}\n${stderr}` }),
      );
    });
  }

  async #snapshot() {
    const rows = [];
    for (const sql of SNAPSHOT) rows.push(await this.#query(sql));
    return rows;
  }

  /** @param {string} sql */
  async #query(sql) {
    const client = new pg.Client(this.project.databaseUrl);
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }
}
