// @ts-check
import fs from 'node:fs';
import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { withClient } from './queues.js';

/** What a reader must know of the place where figures were measured. @param {string} url */
export async function describeMachine(url) {
  const { rows } = await withClient(url, (client) =>
    client.query(`select current_setting('server_version') as version, current_setting('fsync') as fsync,
      current_setting('synchronous_commit') as synchronous_commit, current_setting('full_page_writes') as full_page_writes,
      current_setting('shared_buffers') as shared_buffers`),
  );
  const { version, ...settings } = rows[0];
  return [
    `node ${process.version}, PostgreSQL ${version.split(' ')[0]}, on the same machine`,
    `${os.availableParallelism()} cores (${os.cpus()[0]?.model ?? 'unknown'}), ${Math.round(os.totalmem() / 2 ** 30)} GB, ${os.type()}`,
    Object.entries(settings)
      .map(([name, value]) => `${name} = ${value}`)
      .join(', '),
    packages().join(', '),
  ];
}

const REST_MS = 500;

/** Does somebody else work here? Looked at while the benchmark rests: its own load says nothing. */
export async function isBusy() {
  const before = cpuTimes();
  await delay(REST_MS);
  const after = cpuTimes();
  return (after.used - before.used) / (after.all - before.all) > 0.2;
}

function cpuTimes() {
  const times = os.cpus().map((cpu) => cpu.times);
  const all = times.flatMap((of) => Object.values(of)).reduce((sum, ms) => sum + ms, 0);
  return { all, used: all - times.reduce((sum, { idle }) => sum + idle, 0) };
}

function packages() {
  const { dependencies } = JSON.parse(fs.readFileSync(new URL('package.json', import.meta.url), 'utf8'));
  return Object.entries(dependencies)
    .filter(([, version]) => /^\d/.test(String(version)))
    .map(([name, version]) => `${name} ${version}`);
}
