// @ts-check
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { run } from '../command.js';

/** The lowest supported version, one between, and the newest: `pg-…` in `package.json`. */
export const PG = ['8.11.0', '8.16', '8'];
/** The lowest supported version, and the newest of each major: names in `package.json`. */
export const TYPEORM = ['0.3.20', '0.3', '1'];

/** The timeout of the checks of one cell. */
const DEADLINE_MS = 120_000;

/** @typedef {import('../checks.js').Checks} Checks */
/** @typedef {import('../selection.js').Selection} Selection */
/** @typedef {{ pg: string, typeorm: string }} Cell names in `package.json` */
/** @typedef {{ type: 'counted', passed: number, failed: number }} Counted */

/**
 * Checks the assumptions of `lib/postgres` about pg and TypeORM for each pair of supported
 * versions. All versions are installed once. A cell is a folder with links to one version of each,
 * and a process that finds its modules by these links.
 */
export class Matrix {
  /** @param {string} parent the temporary directory; its owner removes it @param {Selection} selection */
  constructor(parent, selection) {
    this.directory = path.join(parent, 'contracts');
    this.selection = selection;
  }

  /** @returns {Cell[]} */
  get cells() {
    const chosen = TYPEORM.filter((typeorm) => this.selection.includesTypeOrm(typeorm));
    return PG.flatMap((pg) => chosen.map((typeorm) => ({ pg, typeorm })));
  }

  /** Installs no peers, because each cell has its own. @param {string} tarball */
  async install(tarball) {
    fs.mkdirSync(this.directory);
    const list = path.join(import.meta.dirname, 'package.json');
    fs.copyFileSync(list, path.join(this.directory, 'package.json'));
    const options = [
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--no-package-lock',
      '--legacy-peer-deps',
    ];
    await run('npm', ['install', ...options, tarball], this.directory);
    for (const cell of this.cells) this.#link(cell);
  }

  /** Checks that the matrix contains the lowest versions of the peer ranges. @param {Record<string, string>} peers */
  assertFloors(peers) {
    for (const [name, [lowest = '']] of Object.entries({ pg: PG, typeorm: TYPEORM }))
      assert.equal(lowest, /[\d.]+/.exec(peers[name] ?? '')?.[0]);
  }

  /**
   * Runs all cells, with one process per processor at a time.
   * @param {Checks} checks
   * @param {(name: string) => Promise<string>} createDatabase resolves with its URL
   */
  async check(checks, createDatabase) {
    const waiting = this.cells;
    const work = async () => {
      for (let cell = waiting.shift(); cell; cell = waiting.shift())
        await this.#check(cell, checks, createDatabase);
    };
    await Promise.all(Array.from({ length: os.availableParallelism() }, work));
  }

  /** @param {Cell} cell */
  #directoryOf({ pg, typeorm }) {
    return path.join(this.directory, `pg-${pg}+typeorm-${typeorm}`);
  }

  /** @param {Cell} cell */
  #link(cell) {
    const { pg, typeorm } = cell;
    const modules = path.join(this.#directoryOf(cell), 'node_modules');
    fs.mkdirSync(modules, { recursive: true });
    const links = {
      pg: `pg-${pg}`,
      'pg-cursor': `pg-cursor-${pg}`,
      'pg-query-stream': `pg-query-stream-${pg}`,
      typeorm: `typeorm-${typeorm}`,
      'nestjs-pgpubsub': 'nestjs-pgpubsub',
    };
    for (const [name, target] of Object.entries(links))
      fs.symlinkSync(path.join(this.directory, 'node_modules', target), path.join(modules, name));
  }

  /**
   * Runs the checks of pg alone with only one version of TypeORM.
   * @param {Cell} cell @param {Checks} checks @param {(name: string) => Promise<string>} createDatabase
   */
  async #check(cell, checks, createDatabase) {
    const isFirstOfPg = PG.indexOf(cell.pg) === TYPEORM.indexOf(cell.typeorm);
    const url = await createDatabase(`contracts_${cell.pg}_${cell.typeorm}`.replaceAll('.', '_'));
    const args = [this.#directoryOf(cell), url, isFirstOfPg ? 'all' : 'typeorm'];
    await checks.check(
      `pg ${cell.pg} and TypeORM ${cell.typeorm}: all checks run, and the process ends by itself`,
      async () => {
        const { passed, failed } = await runCell(args);
        checks.passed += passed;
        checks.failed += failed;
      },
    );
  }
}

/** @param {string[]} args @returns {Promise<Counted>} */
function runCell(args) {
  const program = path.join(import.meta.dirname, 'cell.js');
  const execArgv = ['--preserve-symlinks', '--no-deprecation', '--disable-warning=ExperimentalWarning'];
  return new Promise((resolve, reject) => {
    const child = fork(program, args, { execArgv });
    /** @type {Counted | undefined} */
    let counted;
    const late = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
    child.on('message', (message) => {
      counted = /** @type {Counted} */ (message);
    });
    child.once('exit', (code, signal) => {
      clearTimeout(late);
      if (counted && code === 0) resolve(counted);
      else reject(new Error(`the process ended with ${signal ?? code} or without a report`));
    });
  });
}
