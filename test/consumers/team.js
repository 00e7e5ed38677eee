// @ts-check
import fs from 'node:fs';
import path from 'node:path';
import { run } from './command.js';
import { Terminal } from './terminal.js';

const here = import.meta.dirname;
const QUIET = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];

/** Installs the pinned pnpm below `parent`; resolves with the folder of its command. @param {string} parent */
export async function installPnpm(parent) {
  const directory = path.join(parent, 'pnpm');
  fs.cpSync(path.join(here, 'pnpm'), directory, { recursive: true });
  await run('npm', ['install', ...QUIET], directory);
  return path.join(directory, 'node_modules', '.bin');
}

/**
 * A complete application of a team, copied from `test/consumers/<name>/`, with its package manager,
 * its scripts and its `.env`. Commands run as developers type them, without DATABASE_URL.
 */
export class Team {
  /**
   * @param {string} name
   * @param {string} directory does not exist yet; the owner of its parent removes it
   * @param {string} [pnpm] the folder of its command, if pnpm is the package manager
   */
  constructor(name, directory, pnpm) {
    this.name = name;
    this.directory = directory;
    this.pnpm = pnpm;
    fs.cpSync(path.join(here, name), directory, { recursive: true });
    const { DATABASE_URL: _, ...env } = process.env;
    const folders = [path.join(directory, 'node_modules', '.bin'), ...(pnpm ? [pnpm] : []), env['PATH']];
    this.env = { ...env, PATH: folders.join(path.delimiter), NO_COLOR: '1' };
  }

  /** @returns {Record<string, string>} */
  get dependencies() {
    return JSON.parse(fs.readFileSync(path.join(here, this.name, 'package.json'), 'utf8')).dependencies;
  }

  /** Includes the packed library. @param {string} tarball */
  async install(tarball) {
    if (this.pnpm) await this.run(`pnpm add --ignore-scripts --prefer-offline ${tarball}`);
    else await run('npm', ['install', ...QUIET, tarball], this.directory);
  }

  /** Writes the environment of the application. @param {string} databaseUrl */
  configure(databaseUrl) {
    fs.writeFileSync(path.join(this.directory, '.env'), `DATABASE_URL=${databaseUrl}\n`);
  }

  /** Resolves when the command has succeeded. @param {string} command */
  run(command) {
    return run('sh', ['-c', `exec ${command}`], this.directory, this.env);
  }

  /** A terminal whose command is not running yet. @param {string} command @param {NodeJS.ProcessEnv} [variables] */
  open(command, variables) {
    return new Terminal(command, this.directory, { ...this.env, ...variables });
  }

  /** Saves a file with one more line, as an editor does. @param {string} file */
  touch(file) {
    fs.appendFileSync(path.join(this.directory, file), '\n');
  }
}
