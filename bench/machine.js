// @ts-check
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { nodeCpu, postgresCpu } from './cpu.js';
import { withClient } from './queues.js';

const SETTINGS = ['fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers', 'max_connections'];

/** Describes the machine, the server and the versions for readers of the figures. @param {string} url */
export async function describeMachine(url) {
  const { version, address, settings } = await withClient(url, async (client) => {
    const { rows } = await client.query(
      `select current_setting('server_version') as version, host(inet_server_addr()) as address,
         (select string_agg(name || ' = ' || current_setting(name), ', ' order by at)
          from unnest($1::text[]) with ordinality as setting (name, at)) as settings`,
      [SETTINGS],
    );
    return rows[0];
  });
  const place = ['127.0.0.1', '::1', null].includes(address) ? 'on the same machine' : 'elsewhere';
  return [
    `node ${process.version}, PostgreSQL ${version.split(' ')[0]} ${place}`,
    `${os.availableParallelism()} cores (${os.cpus()[0]?.model ?? 'unknown'}), ${Math.round(os.totalmem() / 2 ** 30)} GB, ${os.type()}`,
    settings,
    [ownVersion(), ...versionsOf(['typeorm', '@nestjs/core'])].join(', '),
    versionsOf(peers()).join(', '),
  ];
}

const REST_MS = 500;
const BUSY_SHARE = 0.2;

/** Whether other processes use the machine while the benchmark rests. @param {string} url */
export async function isBusy(url) {
  const others = await watchOthers(url);
  await delay(REST_MS);
  return others.areBusy();
}

/**
 * Observes whether other processes use the machine from now on: the CPU time of the machine, minus
 * that of this process, its children and the server. `isKnown` is false when the server's CPU time
 * is unknown, because its work for the benchmark would then be attributed to other processes.
 * @param {string} url
 */
export async function watchOthers(url) {
  const postgres = await postgresCpu(url);
  const othersSeconds = () => usedSeconds() - nodeCpu() - endedChildrenSeconds() - (postgres?.() ?? 0);
  const [began, before] = [performance.now(), othersSeconds()];
  return {
    isKnown: postgres !== undefined,
    areBusy: () => {
      const seconds = ((performance.now() - began) / 1_000) * os.cpus().length;
      return (othersSeconds() - before) / seconds > BUSY_SHARE;
    },
  };
}

/** Returns the CPU seconds of all processors since the machine started. */
const usedSeconds = () =>
  os.cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0) / 1_000;

/** Returns the CPU seconds of ended children, which `process.cpuUsage()` omits. */
function endedChildrenSeconds() {
  if (process.platform !== 'linux') return 0;
  const text = fs.readFileSync('/proc/self/stat', 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / 100;
}

/** Returns name and version of this package, with the commit if there is a repository. */
function ownVersion() {
  const { name, version } = packageIn(new URL('../', import.meta.url)) ?? {};
  const commit = git('rev-parse', '--short', 'HEAD');
  const results = [':!results.json', ':!results.md']; // written by the previous run
  const changes = git('status', '--porcelain', '--untracked-files=no', '--', '../lib', '.', ...results);
  return `${name} ${version}${commit && ` (${commit}${changes && '+changes'})`}`;
}

/** @param {string[]} command @returns {string} empty without git or outside of a clone */
const git = (...command) =>
  (spawnSync('git', command, { cwd: import.meta.dirname, encoding: 'utf8' }).stdout ?? '').trim();

/** Returns the compared packages: those of `package.json` with a version, except echarts. */
function peers() {
  const { dependencies, optionalDependencies } = packageIn(new URL('./', import.meta.url));
  return Object.entries({ ...dependencies, ...optionalDependencies })
    .filter(([name, version]) => /^\d/.test(String(version)) && name !== 'echarts')
    .map(([name]) => name)
    .toSorted();
}

/** Returns the versions of installed packages. @param {readonly string[]} names */
const versionsOf = (names) =>
  names.flatMap((name) => {
    const found = ['node_modules/', '../node_modules/']
      .map((folder) => packageIn(new URL(`${folder}${name}/`, import.meta.url)))
      .find((manifest) => manifest !== undefined);
    return found === undefined ? [] : [`${name} ${found.version}`];
  });

/** @param {URL} folder */
function packageIn(folder) {
  const file = new URL('package.json', folder);
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : undefined;
}
