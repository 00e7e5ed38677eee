// @ts-check
import path from 'node:path';
import { Orders } from './orders.js';
import { installPnpm, Team } from './team.js';

/** @typedef {[name: string, act: () => unknown]} Step each step depends on the previous ones */

/** @param {Team} team @param {string} tarball @returns {Step[]} */
const jestSteps = (team, tarball) => [
  ['pnpm add', () => team.install(tarball)],
  ['jest transforms the library by a pattern for npm and pnpm', () => team.run('jest')],
];

/** The enhancers for HTTP, which are skipped for notifications by default. */
const SKIPPED = 'guards ThrottlerGuard; interceptors ResponseInterceptor; filters AllExceptionsFilter';

/**
 * CommonJS, Nest 11, npm: built by tsc, by webpack, and by esbuild into one minified file.
 * @param {Team} team @param {string} tarball @param {string} databaseUrl
 * @returns {Step[]}
 */
function nest11Steps(team, tarball, databaseUrl) {
  const orders = new Orders(team, databaseUrl, SKIPPED);
  const listen = 'pgpubsub listen dist/app.module.js';
  const check = 'pgpubsub check -d dist/data-source.js';
  const env = { NODE_ENV: 'production' };
  return [
    ['npm install', () => team.install(tarball)],
    ['npm test (ts-jest)', () => team.run('npm test')],
    ['npm run migration:generate', () => team.run('npm run migration:generate src/migrations/Orders')],
    ['npm run migration:run', () => team.run('npm run migration:run')],
    [
      'pgpubsub check -d src/data-source.ts (ts-node)',
      () => team.run('pgpubsub check -d src/data-source.ts'),
    ],
    ['nest build (tsc)', () => team.run('npm run build')],
    [check, () => team.run(check)],
    ['the web process delivers, fails and retries', () => orders.areHandled({ web: 'node dist/main.js' })],
    [`${listen} does the same`, () => orders.areHandled({ web: 'node dist/main.js', worker: listen })],
    ['nest start --watch', () => orders.areHandledAfterRestart('nest start --watch', 'src/main.ts')],
    ['nest build --webpack', () => team.run('npm run build:webpack')],
    [`webpack: ${check}`, () => team.run(check)],
    ['webpack: the web process', () => orders.areHandled({ web: 'node dist/main.js', env })],
    [`webpack: ${listen}`, () => orders.areHandled({ web: 'node dist/main.js', worker: listen, env })],
    ['esbuild --minify --keep-names', () => team.run('npm run build:esbuild')],
    ['esbuild: the web process', () => orders.areHandled({ web: 'node bundle/main.js', env })],
    [
      'esbuild: a worker of its own',
      () => orders.areHandled({ web: 'node bundle/main.js', worker: 'node bundle/worker.js', env }),
    ],
    ['esbuild --packages=external', () => team.run('npm run build:esbuild:external')],
    [
      'esbuild: pgpubsub listen bundle/app.module.js',
      () =>
        orders.areHandled({
          web: 'node bundle/main.js',
          worker: 'pgpubsub listen bundle/app.module.js',
          env,
        }),
    ],
  ];
}

/**
 * ES modules, Nest 12, pnpm: built by SWC and by Vite.
 * @param {Team} team @param {string} tarball @param {string} databaseUrl
 * @returns {Step[]}
 */
function nest12Steps(team, tarball, databaseUrl) {
  const orders = new Orders(team, databaseUrl);
  const first = '--env-file .env --import ./dist/transactional-context.js';
  const listen = `pgpubsub listen dist/app.module.js ${first}`;
  const check = 'pgpubsub check -d ormconfig.ts --env-file .env';
  return [
    ['pnpm add', () => team.install(tarball)],
    ['pnpm test (Vitest)', () => team.run('pnpm test')],
    ['pnpm test:jest (ES modules)', () => team.run('pnpm test:jest')],
    ['pnpm migration:generate', () => team.run('pnpm migration:generate src/migrations/Orders')],
    ['nest build (SWC)', () => team.run('pnpm build')],
    ['migrationsRun: the web process migrates', () => orders.areHandled({ web: 'node dist/main.js' })],
    ['pnpm migration:run has nothing left to do', () => team.run('pnpm migration:run')],
    [`${check} (tsx)`, () => team.run(check)],
    [`${listen} does the same`, () => orders.areHandled({ web: 'node dist/main.js', worker: listen })],
    ['vite build', () => team.run('pnpm build:vite')],
    ['Vite: the web process', () => orders.areHandled({ web: 'node dist-vite/main.js' })],
  ];
}

/**
 * Returns the applications of teams with the steps of their stories, which are independent.
 * @param {string} parent a temporary directory; its owner removes it
 * @param {string} tarball the packed library
 * @param {import('./selection.js').Selection} selection
 * @param {(name: string) => Promise<string>} createDatabase resolves with its URL
 * @returns {Promise<[story: string, steps: Step[]][]>}
 */
export async function teamStories(parent, tarball, selection, createDatabase) {
  const pnpm = await installPnpm(parent);
  const database = async (/** @type {Team} */ team) => {
    const url = await createDatabase(team.name.replaceAll('-', '_'));
    team.configure(url);
    return url;
  };
  const nest11 = new Team('nest11-team', path.join(parent, 'nest11-team'));
  const nest11Pnpm = new Team('nest11-team', path.join(parent, 'nest11-team-pnpm'), pnpm);
  const nest12 = new Team('nest12-team', path.join(parent, 'nest12-team'), pnpm);
  nest11Pnpm.configure('postgres://nowhere');
  /** @type {[team: Team, story: string, steps: Step[]][]} */
  const all = [
    [nest11, 'nest11-team', nest11Steps(nest11, tarball, await database(nest11))],
    [nest12, 'nest12-team', nest12Steps(nest12, tarball, await database(nest12))],
    [nest11Pnpm, 'nest11-team with pnpm', jestSteps(nest11Pnpm, tarball)],
  ];
  return all.filter(([{ dependencies }]) => selection.includes(dependencies)).map(([, ...story]) => story);
}
