import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, it } from 'vitest';
import { TypeOrmCli } from '../consumers/typeorm-cli.js';
import { TestDatabase } from '../support/database.js';

const fromHere = (file: string) => fileURLToPath(new URL(file, import.meta.url));

const project = {
  cli: fromHere('../../node_modules/typeorm/cli.js'),
  dataSource: fromHere('apps/.build/typeorm-cli/data-source.js'),
  migrations: fs.mkdtempSync(path.join(os.tmpdir(), 'pgpubsub-migrations-')),
  esm: true,
  databaseUrl: '',
};

let database: TestDatabase;
beforeAll(async () => {
  fs.writeFileSync(path.join(project.migrations, 'package.json'), '{ "type": "module" }');
  database = await TestDatabase.create();
  project.databaseUrl = database.url;
});
afterAll(async () => {
  fs.rmSync(project.migrations, { recursive: true });
  await database[Symbol.asyncDispose]();
});

// `npm run test:consumers` runs the same steps with TypeORM 0.3
for (const [name, act] of new TypeOrmCli(project).steps) it(`typeorm: ${name}`, act);
