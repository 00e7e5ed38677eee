// @ts-check
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { run } from './command.js';

/** Follows a page in an empty directory: runs its commands and writes its files. */
export class Reader {
  /**
   * @param {string} directory an empty directory
   * @param {string} tarball the packed library
   * @param {string} databaseUrl the URL of an empty database
   */
  constructor(directory, tarball, databaseUrl) {
    this.directory = directory;
    this.tarball = tarball;
    // npm_config_yes: npx may run only installed packages
    this.env = { ...process.env, DATABASE_URL: databaseUrl, NO_COLOR: '1', npm_config_yes: 'false' };
  }

  /**
   * Lets npx install the package. Nest asks its questions only in a real terminal.
   * @param {string} command
   */
  create(command) {
    return this.run(command, { ...this.env, npm_config_yes: 'true' });
  }

  /** @param {string} directory */
  enter(directory) {
    this.directory = path.join(this.directory, directory);
    assert(fs.existsSync(this.directory), `expected a directory ${directory}`);
  }

  installPacked() {
    return this.run(`npm install ${this.tarball}`);
  }

  /** @param {string} command @param {NodeJS.ProcessEnv} env */
  run(command, env = this.env) {
    return run('sh', ['-c', `exec ${command}`], this.directory, env); // exec: a signal to the shell reaches the command
  }

  /** @param {string} file @param {string} code */
  write(file, code) {
    fs.writeFileSync(path.join(this.directory, file), code);
  }

  /** @param {string} file @param {string} code */
  addAfterCreation(file, code) {
    const made = fs.readFileSync(path.join(this.directory, file), 'utf8');
    const changed = made.replace(/^( *).*await NestFactory\.create\(.*\n/m, `$&$1${code}\n`);
    assert.notEqual(changed, made, `${file} does not create an application: ${made}`);
    this.write(file, changed);
  }
}
