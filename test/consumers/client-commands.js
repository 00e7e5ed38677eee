// @ts-check
import { execFile } from 'node:child_process';
import { parseArgs, promisify } from 'node:util';

/** Returns the SQL and the address of a psql command. @param {string} command @param {NodeJS.ProcessEnv} env */
export async function parsePsql(command, env) {
  const { values, positionals } = parseArgs({
    args: await argumentsOf(command, env),
    options: { command: { type: 'string', short: 'c', default: '' } },
    allowPositionals: true,
  });
  return { sql: values.command, databaseUrl: positionals.join(' ') };
}

/**
 * Returns the request of a curl command, in the form of `fetch()`.
 * @param {string} command @param {NodeJS.ProcessEnv} env
 */
export async function parseCurl(command, env) {
  const { values, positionals } = parseArgs({
    args: await argumentsOf(command, env),
    options: {
      request: { type: 'string', short: 'X', default: 'GET' },
      header: { type: 'string', short: 'H', multiple: true, default: [] },
      data: { type: 'string', short: 'd', default: '' },
    },
    allowPositionals: true,
  });
  const given = Object.fromEntries(values.header.map((header) => header.split(': ', 2)));
  const headers = { 'content-type': 'application/x-www-form-urlencoded', ...given }; // curl's default with -d
  const url = new URL(`http://${positionals.join(' ')}`); // curl's default scheme
  return { url, request: { method: values.request, headers, body: values.data } };
}

/**
 * Returns the arguments as a shell passes them: the script replaces the program by a function
 * of its name, which prints them.
 * @param {string} command @param {NodeJS.ProcessEnv} env
 */
async function argumentsOf(command, env) {
  const [program] = command.split(' ');
  const script = `${program}() { printf '%s\\0' "$@"; }\n${command}`;
  const { stdout } = await promisify(execFile)('sh', ['-c', script], { env });
  return stdout.split('\0').slice(0, -1);
}
