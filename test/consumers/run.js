// @ts-check
/**
 * `npm run test:consumers` installs the packed library into other projects:
 *
 * - Small applications of every supported kind are compiled, and run together on one database,
 *   where each must receive the notifications of all others. Those with TypeORM 0.3 generate, run
 *   and revert migrations; the e2e tests do this with TypeORM 1.
 * - docs/getting-started.md is followed word by word.
 * - Typical applications of teams are built, tested and run with their own tools, as
 *   docs/guides/builders.md describes.
 * - The assumptions about the internals of pg and TypeORM are checked for a matrix of versions.
 *
 * `npm run test:consumers -- --nest 11 --typeorm 0.3` tests only applications with these versions.
 */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { startPostgres } from '../../tools/embedded-postgres.js';
import { Checks } from './checks.js';
import { run } from './command.js';
import { Consumer } from './consumer.js';
import { Matrix } from './contracts/matrix.js';
import { stepsOf } from './getting-started.js';
import { listen } from './listen.js';
import { Newsroom } from './newsroom.js';
import { Reader } from './reader.js';
import { RunningApp } from './running-app.js';
import { Selection } from './selection.js';
import { teamStories } from './teams.js';
import { TypeOrmCli } from './typeorm-cli.js';

const root = path.join(import.meta.dirname, '..', '..');
const checks = new Checks();
const selection = Selection.parse(process.argv.slice(2));

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pgpubsub-consumers-'));
process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1)); // closing their IPC ends the applications

const tarball = await pack();
const floor = new Consumer('nest11-floor', directory);
const newest = new Consumer('nest12-esm', directory);
const matrix = new Matrix(directory, selection);
const consumers = selection.choose([new Consumer('nest11-commonjs', directory), floor, newest]);

await checks.check('nest11-floor has the lowest version of every peer', () => assertFloors(floor));
await checks.check('the contracts have the lowest versions of pg and TypeORM', () =>
  matrix.assertFloors(readPeers()),
);
const installing = checks.check('the versions of the contracts install', () => matrix.install(tarball));
const usable = await succeeding(consumers, async (consumer) => {
  const isInstalled = await checks.check(`${consumer.name} installs`, () => consumer.install(tarball));
  return isInstalled && checks.check(`${consumer.name} compiles`, () => consumer.compile());
});
const server = await startPostgres();
try {
  if (await installing) await matrix.check(checks, (name) => createDatabase(server.url, name));
  await runTogether(usable, server.url);
  for (const consumer of usable)
    await checks.check(`${consumer.name} runs pgpubsub listen`, () => listen(consumer, server.url));
  const old = usable.filter(({ dependencies }) => dependencies['typeorm']?.startsWith('0.3.'));
  await Promise.all([
    ...old.map((consumer) => migrate(consumer, server.url)),
    ...(selection.includes(newest.dependencies) ? [getStarted(server.url)] : []),
    runTeams(server.url),
  ]);
} finally {
  await server.stop();
}

console.log(checks.summary);
process.exitCode = checks.failed === 0 ? 0 : 1;

/** Packs the library for publishing, from an up-to-date `dist/`. */
async function pack() {
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', directory], root);
  const file = fs.readdirSync(directory).find((name) => name.endsWith('.tgz'));
  assert(file !== undefined, 'expected npm pack to write a tarball');
  return path.join(directory, file);
}

/** @returns {Record<string, string>} */
function readPeers() {
  return JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).peerDependencies;
}

/** Compares the versions with the peer ranges: the lowest of `^11.0.0 || ^12.0.0` is 11.0.0. */
function assertFloors(/** @type {Consumer} */ { dependencies }) {
  const peerDependencies = readPeers();
  const promised = Object.entries(peerDependencies).map(([peer, range]) => [peer, /[\d.]+/.exec(range)?.[0]]);
  const pinned = Object.keys(peerDependencies).map((peer) => [peer, dependencies[peer]]);
  assert.deepEqual(pinned, promised);
}

/** @param {readonly Consumer[]} installed @param {string} databaseUrl */
async function runTogether(installed, databaseUrl) {
  const started = installed.map(({ name, program }) => new RunningApp(name, program, databaseUrl));
  try {
    const apps = await succeeding(started, (app) => checks.check(`${app.name} starts`, () => app.ready()));
    for (const app of apps) app.greet();
    for (const receiver of apps) for (const sender of apps) await checkGreetings(receiver, sender);
    await Promise.all(apps.map(checkEnd));
  } finally {
    for (const app of started) app.kill();
  }
}

/** @param {Consumer} consumer @param {string} serverUrl */
async function migrate(consumer, serverUrl) {
  const { name, dependencies } = consumer;
  const databaseUrl = await createDatabase(serverUrl, name.replaceAll('-', '_'));
  const { steps } = new TypeOrmCli({
    ...consumer.typeOrmProject(databaseUrl),
    ...(consumer === floor && { first: 'plain' }),
  });
  await checkInOrder(`${name}, TypeORM ${dependencies['typeorm']}`, steps);
}

/** @param {string} serverUrl */
async function getStarted(serverUrl) {
  const page = fs.readFileSync(path.join(root, 'docs', 'getting-started.md'), 'utf8');
  const empty = fs.mkdtempSync(path.join(directory, 'getting-started-'));
  const databaseUrl = await createDatabase(serverUrl, 'getting_started');
  const reader = new Reader(empty, tarball, databaseUrl);
  const newsroom = new Newsroom(reader);
  /** @type {ReturnType<stepsOf>} */
  let steps = [];
  try {
    await checks.check('getting started: the test knows every step of the page', () => {
      steps = stepsOf(page, reader, newsroom);
    });
    await checkInOrder('getting started', steps);
  } finally {
    newsroom.close();
  }
}

/** @param {string} serverUrl */
async function runTeams(serverUrl) {
  const stories = await teamStories(directory, tarball, selection, (name) => createDatabase(serverUrl, name));
  await Promise.all(stories.map(([story, steps]) => checkInOrder(story, steps)));
}

/** Stops at the first failed step, because the next ones depend on it. @param {string} subject @param {ReturnType<stepsOf>} steps */
async function checkInOrder(subject, steps) {
  for (const [step, act] of steps) {
    const isDone = await checks.check(`${subject}: ${step}`, act);
    if (!isDone) return;
  }
}

/** Resolves with the URL of the database. @param {string} serverUrl @param {string} name */
async function createDatabase(serverUrl, name) {
  const client = new pg.Client(serverUrl);
  await client.connect();
  await client.query(`drop database if exists ${name}`);
  await client.query(`create database ${name}`);
  await client.end();
  return Object.assign(new URL(serverUrl), { pathname: `/${name}` }).href;
}

/**
 * A sender greets in a transaction that is rolled back, in one that commits, and without
 * transaction.
 * @param {RunningApp} receiver
 * @param {RunningApp} sender
 */
async function checkGreetings(receiver, sender) {
  const expected = ['transaction', 'pool'];
  await checks.check(
    `${receiver.name} receives from ${sender.name}, in a transaction and outside`,
    async () => {
      assert.deepEqual(await receiver.greetingsOf(sender, 'handled'), expected);
      assert.deepEqual(await receiver.greetingsOf(sender, 'observed'), expected);
    },
  );
}

/** @param {RunningApp} app */
async function checkEnd(app) {
  await checks.check(`${app.name} ends by itself after app.close()`, () => app.close());
  await checks.check(`${app.name} logs no warning`, () => assert.equal(app.output, ''));
}

/**
 * Runs `act` for all items at once; resolves with the items for which it resolves to true.
 * @template T
 * @param {readonly T[]} items
 * @param {(item: T) => Promise<boolean>} act
 */
async function succeeding(items, act) {
  const results = await Promise.all(items.map(act));
  return items.filter((_, index) => results[index]);
}
