#!/usr/bin/env node
// @ts-check
/**
 * Adds the packages of other platforms to package-lock.json:
 * `node tools/complete-lockfile.js [folder]`.
 *
 * Needed after `npm install` with a registry that does not have these packages: npm omits them, and
 * `npm ci` then rejects the lock file. The entries are those that npm writes, without the checksum.
 */
import fs from 'node:fs';
import path from 'node:path';

const file = path.join(process.argv[2] ?? '.', 'package-lock.json');
const lock = JSON.parse(fs.readFileSync(file, 'utf8'));

/** Maps words of package names to the names that Node uses. */
const SYSTEMS = { android: 'android', darwin: 'darwin', freebsd: 'freebsd', linux: 'linux', netbsd: 'netbsd', openbsd: 'openbsd', openharmony: 'openharmony', sunos: 'sunos', aix: 'aix', win32: 'win32', windows: 'win32', fsevents: 'darwin' }; // prettier-ignore
const PROCESSORS = { arm64: 'arm64', arm: 'arm', armv7: 'arm', ia32: 'ia32', loong64: 'loong64', mips64el: 'mips64el', ppc64: 'ppc64', riscv64: 'riscv64', s390x: 's390x', wasm32: 'wasm32', x64: 'x64' }; // prettier-ignore
const LIBRARIES = { gnu: 'glibc', musl: 'musl', gnueabihf: 'glibc', musleabihf: 'musl' };

/** @param {Record<string, string>} words @param {string[]} parts */
const wordOf = (words, parts) => parts.map((part) => words[part]).find((word) => word !== undefined);

const added = [];
for (const [place, { optionalDependencies = {}, dev }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const top = `node_modules/${name}`;
    if (lock.packages[top] || lock.packages[`${place}/${top}`]) continue;
    const parts = name.split(/[/-]/);
    const os = wordOf(SYSTEMS, parts);
    const cpu = wordOf(PROCESSORS, parts);
    const libc = os === 'linux' ? wordOf(LIBRARIES, parts) : undefined;
    if (os === undefined && cpu === undefined)
      throw new Error(`the name of the package ${name} does not contain a known platform`);
    lock.packages[top] = {
      version: String(version).replace(/^[^\d]*/, ''),
      ...(cpu && { cpu: [cpu] }),
      ...(dev && { dev: true }),
      ...(libc && { libc: [libc] }),
      optional: true,
      ...(os && { os: [os] }),
    };
    added.push(name);
  }
}
lock.packages = Object.fromEntries(
  Object.entries(lock.packages).toSorted(([a], [b]) => (a < b ? -1 : Number(a > b))),
);
fs.writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`);
console.log(`${file}: added ${added.length} packages of other platforms`);
