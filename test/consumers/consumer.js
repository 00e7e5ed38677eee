// @ts-check
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { run } from './command.js';

const here = import.meta.dirname;
const tsc = path.join(path.dirname(createRequire(import.meta.url).resolve('typescript')), '..', 'bin', 'tsc');

/**
 * A project that uses the packed library: the `package.json` and `tsconfig.json` of
 * `test/consumers/<name>/` and the shared sources, in a directory outside of this repository, so
 * that only the project's own `node_modules` are found.
 */
export class Consumer {
  /** @param {string} name @param {string} parent the temporary directory; its owner removes it */
  constructor(name, parent) {
    this.name = name;
    this.directory = path.join(parent, name);
    fs.cpSync(path.join(here, name), this.directory, { recursive: true });
    fs.cpSync(path.join(here, 'src'), path.join(this.directory, 'src'), { recursive: true });
    fs.cpSync(path.join(here, '../e2e/apps/typeorm-cli'), path.join(this.directory, 'src'), {
      recursive: true,
    });
    fs.cpSync(path.join(here, 'tsconfig.json'), path.join(parent, 'tsconfig.json'));
  }

  /** @returns {Record<string, string>} */
  get dependencies() {
    const text = fs.readFileSync(path.join(this.directory, 'package.json'), 'utf8');
    return JSON.parse(text).dependencies;
  }

  get program() {
    return path.join(this.directory, 'dist', 'main.js');
  }

  /** The path of `pgpubsub`. */
  get command() {
    return path.join(this.directory, 'node_modules', '.bin', 'pgpubsub');
  }

  /** @param {string} databaseUrl */
  typeOrmProject(databaseUrl) {
    const migrations = path.join(this.directory, 'migrations');
    fs.mkdirSync(migrations);
    const cli = path.join(this.directory, 'node_modules', 'typeorm', 'cli.js');
    return { cli, dataSource: path.join(this.directory, 'dist', 'data-source.js'), migrations, databaseUrl };
  }

  /** @param {string} tarball */
  async install(tarball) {
    const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
    await run('npm', ['install', ...quiet, tarball], this.directory);
  }

  async compile() {
    await run(process.execPath, [tsc, '-p', this.directory], this.directory);
  }
}
