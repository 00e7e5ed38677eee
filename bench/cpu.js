// @ts-check
import fs from 'node:fs';
import pg from 'pg';

const TICKS_PER_SECOND = 100; // the unit of /proc/<pid>/stat on every Linux

/**
 * The CPU time of PostgreSQL's running and ended processes; the parent process sums up the latter.
 * @typedef {() => number} CpuMeter seconds since the server's start
 */

/** Only for a local server on Linux. @param {string} url @returns {Promise<CpuMeter | undefined>} */
export async function postgresCpu(url) {
  if (process.platform !== 'linux') return undefined;
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query('select pg_backend_pid() as pid, inet_server_addr() as address');
  try {
    if (!['127.0.0.1', '127.0.0.1/32', null].includes(rows[0].address)) return undefined;
    const postmaster = statOf(rows[0].pid)?.parent;
    return postmaster === undefined ? undefined : () => secondsOf(postmaster);
  } finally {
    await client.end();
  }
}

/** @param {string} postmaster */
function secondsOf(postmaster) {
  let seconds = (statOf(postmaster)?.endedTicks ?? 0) / TICKS_PER_SECOND;
  for (const pid of fs.readdirSync('/proc')) {
    if (/^\d+$/.test(pid) && statOf(pid)?.parent === postmaster) seconds += runningSeconds(pid);
  }
  return seconds;
}

/** @param {string | number} pid */
function statOf(pid) {
  try {
    const text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' '); // starts with field 3, the state
    return {
      parent: fields[1],
      ticks: Number(fields[11]) + Number(fields[12]),
      endedTicks: Number(fields[13]) + Number(fields[14]),
    };
  } catch {
    return undefined; // the process has ended
  }
}

/** Uses nanoseconds if the kernel has them, otherwise ticks. @param {string} pid */
function runningSeconds(pid) {
  try {
    const nanoseconds = Number(fs.readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]);
    if (nanoseconds > 0) return nanoseconds / 1e9;
  } catch {
    // not available
  }
  return (statOf(pid)?.ticks ?? 0) / TICKS_PER_SECOND;
}

/** Returns the CPU seconds of this process. */
export function nodeCpu() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}
