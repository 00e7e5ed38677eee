import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { pgpubsub } from '../support/command.js';
import { TestDatabase } from '../support/database.js';

/** A folder from which the import of "typeorm" resolves. */
const folder = fs.mkdtempSync(fileURLToPath(new URL('apps/.build/data-source-', import.meta.url)));
let database: TestDatabase;
beforeAll(async () => {
  database = await TestDatabase.create();
});
afterAll(async () => {
  fs.rmSync(folder, { recursive: true });
  await database[Symbol.asyncDispose]();
});

function command(name: string, file: string, source: string) {
  const written = path.join(folder, file);
  fs.writeFileSync(written, source);
  return pgpubsub([name, '-d', written], { DATABASE_URL: database.url });
}

const IMPORT = 'import { DataSource } from "typeorm";';
const POSTGRES = 'new DataSource({ type: "postgres", url: process.env.DATABASE_URL })';

it.each([
  ['CommonJS', 'common.cjs', `exports.AppDataSource = new (require("typeorm").DataSource)({ type: "postgres", url: process.env.DATABASE_URL });`], // prettier-ignore
  ['a default export', 'default.mjs', `${IMPORT} export default ${POSTGRES};`],
  [
    'a named export',
    'named.mjs',
    `${IMPORT} export const AppDataSource = ${POSTGRES}; export const other = 1;`,
  ],
  ['a promise', 'promise.mjs', `${IMPORT} export const AppDataSource = Promise.resolve(${POSTGRES});`],
])(
  'pgpubsub accepts each form of a DataSource that the command line of TypeORM accepts: %s',
  async (_, file, source) => {
    expect(await command('check', file, source)).toEqual({
      code: 0,
      stdout: 'The database matches the declarations of the DataSource.\n',
      stderr: '',
    });
  },
);

it.each([
  [
    'a file with two DataSources',
    'two.mjs',
    `${IMPORT} export const a = ${POSTGRES}, b = ${POSTGRES};`,
    /to export one DataSource, got: .+ only one export of DataSource instance\. Name the built file/,
  ],
  [
    'a file without a DataSource',
    'none.mjs',
    'export const AppDataSource = 1;',
    /to export one DataSource, got: .+ must contain export of a DataSource instance\. Name/,
  ],
  [
    'a DataSource of another database',
    'cockroach.mjs',
    `${IMPORT} export default new DataSource({ type: "cockroachdb" });`,
    /expected a DataSource of type "postgres" in \S+cockroach\.mjs, got "cockroachdb"/,
  ],
] as const)('pgpubsub rejects %s in one sentence', async (_, file, source, sentence) => {
  // prettier-ignore
  const ended = await command('check', file, source);
  expect(ended).toMatchObject({ code: 2, stdout: '' });
  expect(ended.stderr).toMatch(/^pgpubsub: expected .+\n$/);
  expect(ended.stderr).toMatch(sentence);
});

it('pgpubsub shows the error of a file that does not load, and suggests --env-file', async () => {
  const ended = await command(
    'check',
    'unset.mjs',
    `${IMPORT} export default new DataSource({ type: process.env.NO_SUCH_VARIABLE });`,
  );
  expect(ended).toMatchObject({ code: 2, stdout: '' });
  expect(ended.stderr).toMatch(
    /^pgpubsub: could not load \S+unset\.mjs: Wrong driver: "undefined" given\. .+ If environment variables are missing, pass "--env-file \.env": \.env is not read automatically\.\n$/,
  );
});

it('pgpubsub reads environment variables from the files of --env-file', async () => {
  const environment = path.join(folder, '.env');
  fs.writeFileSync(environment, `DATABASE_TYPE=postgres\nANOTHER_URL=${database.url}\n`);
  const file = path.join(folder, 'environment.mjs');
  const options = '{ type: process.env.DATABASE_TYPE, url: process.env.ANOTHER_URL }';
  fs.writeFileSync(file, `${IMPORT} export default new DataSource(${options});`);

  expect(await pgpubsub(['check', '-d', file, '--env-file', environment])).toMatchObject({
    code: 0,
    stderr: '',
  });
});

it('pgpubsub rejects a DataSource with several hosts and asks for one', async () => {
  const file = path.join(folder, 'several.mjs');
  fs.writeFileSync(
    file,
    `${IMPORT} export default new DataSource({ type: "postgres", url: "postgres://me:secret@a,b/db" });`,
  );

  expect(await pgpubsub(['check', '-d', file])).toEqual({
    code: 2,
    stdout: '',
    stderr: expect.stringMatching(
      / to have a URL with one host, got one with several hosts, .+\.\n$/,
    ) as unknown,
  });
});

it('pgpubsub ignores synchronize, dropSchema and migrationsRun of the DataSource', async () => {
  await database.query('create table kept as select 1 as n');
  const tables = () =>
    database.query("select relname from pg_class where relnamespace = 'public'::regnamespace");
  const before = await tables();
  const ended = await command(
    'check',
    'eager.mjs',
    `import { DataSource, EntitySchema } from "typeorm";
    class Create1700000000000 { async up(runner) { await runner.query("create table migrated ()"); } async down() {} }
    const Declared = new EntitySchema({ name: "declared", columns: { id: { type: Number, primary: true } } });
    export default new DataSource({
      type: "postgres", url: process.env.DATABASE_URL, entities: [Declared], migrations: [Create1700000000000],
      synchronize: true, dropSchema: true, migrationsRun: true,
    });`,
  );
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(await tables()).toEqual(before);
  expect(await database.query('select n from kept')).toEqual([{ n: 1 }]);
});
