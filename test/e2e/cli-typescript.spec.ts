import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pgpubsub } from '../support/command.js';
import { StoredDatabase } from '../support/stored-worker.js';

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));
const APPLICATION = ['nestjs-pgpubsub', 'typeorm', '@nestjs', 'reflect-metadata', 'typescript', '@types'];

/** Whether Node itself loads TypeScript, without decorators. */
const isNative = createRequire(import.meta.url).extensions['.ts'] !== undefined;

let database: StoredDatabase;
beforeAll(async () => {
  database = await StoredDatabase.create();
});
afterAll(() => database[Symbol.asyncDispose]());

/** The folder of an application outside of this repository, where only linked packages resolve. */
let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pgpubsub-typescript-'));
  fs.mkdirSync(path.join(folder, 'node_modules'));
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

function install(...packages: string[]): void {
  for (const name of [...APPLICATION, ...packages]) {
    const installed = name === 'nestjs-pgpubsub' ? REPOSITORY : path.join(REPOSITORY, 'node_modules', name);
    fs.symlinkSync(installed, path.join(folder, 'node_modules', name));
  }
}

function write(name: string, text: string): string {
  const file = path.join(folder, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
  return file;
}

type Kind = 'commonjs' | 'module';

/** Writes an application. `type` is the type of its column; by default the metadata names it. */
function writeApplication(kind: Kind, { emitDecoratorMetadata = true, type = '' } = {}): void {
  const suffix = kind === 'module' ? '.js' : '';
  const module = kind === 'module' ? 'nodenext' : 'commonjs';
  const compilerOptions = { target: 'ES2022', module, experimentalDecorators: true, emitDecoratorMetadata };
  write('base.json', JSON.stringify({ compilerOptions: { ...compilerOptions, ignoreDeprecations: '6.0' } }));
  write('tsconfig.json', JSON.stringify({ extends: './base.json', include: ['src'] }));
  write('package.json', JSON.stringify({ type: kind }));
  write(
    'src/entity.ts',
    `import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
    @Entity()
    export class Post {
      @PrimaryGeneratedColumn('identity') id!: number;
      @Column(${type}) title!: string;
    }`,
  );
  write(
    'src/data-source.ts',
    `import { withPgPubSub } from 'nestjs-pgpubsub';
    import { DataSource } from 'typeorm';
    import { Post } from './entity${suffix}';
    console.error(process.env.TSX_TSCONFIG_PATH ? 'by tsx' : 'by ts-node');
    export const AppDataSource = withPgPubSub(
      new DataSource({ type: 'postgres', url: process.env.DATABASE_URL as string, entities: [Post] }),
    );`,
  );
  write(
    'src/app.module.ts',
    `import { Injectable, Module } from '@nestjs/common';
    import { TypeOrmModule } from '@nestjs/typeorm';
    import { Listener, PgPubSubModule, defineChannel } from 'nestjs-pgpubsub';
    import { Post } from './entity${suffix}';
    const Letters = defineChannel<{ n: number }>('letters', { delivery: 'exactly-once' });
    @Injectable()
    class Desk { readonly name = 'the desk'; }
    @Injectable()
    class LetterListeners {
      constructor(private readonly desk: Desk) {}
      @Listener(Letters)
      post({ n }: { n: number }): void { console.log(\`\${this.desk.name} has letter \${n}\`); }
    }
    const url = process.env.DATABASE_URL as string;
    @Module({
      imports: [
        TypeOrmModule.forRoot({ type: 'postgres', url, entities: [Post] }),
        PgPubSubModule.forRoot({ verifySchema: false }),
      ],
      providers: [Desk, LetterListeners],
    })
    export class AppModule {}`,
  );
}

const run = (...args: string[]) => pgpubsub(args, { DATABASE_URL: database.url });
const status = () => run('status', '-d', path.join(folder, 'src/data-source.ts'));
const listen = () => run('listen', path.join(folder, 'src/app.module.ts'), '--drain');

describe.each(['commonjs', 'module'] as const)(
  'a DataSource in TypeScript of a package of type "%s"',
  (kind) => {
    it.each([
      ['tsx', ['tsx'], { type: "'text'" }],
      ['ts-node', ['ts-node'], {}],
      ['tsx when both are installed', ['tsx', 'ts-node'], { emitDecoratorMetadata: false, type: "'text'" }],
      ['ts-node when both are installed and types come from metadata', ['tsx', 'ts-node'], {}],
    ])('is loaded by %s', async (runner, packages, options) => {
      install(...packages);
      writeApplication(kind, options);

      expect(await status()).toMatchObject({ code: 0, stderr: `by ${runner.split(' ')[0]}\n` });
    });
  },
);

describe('a module in TypeScript', () => {
  it.each(['commonjs', 'module'] as const)('runs with ts-node in a package of type "%s"', async (kind) => {
    install('ts-node');
    writeApplication(kind);
    await database.store('letters', [{ n: 7 }]);

    const ended = await listen();
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toContain('the desk has letter 7');
  });

  it('is rejected with a remedy when its loader emits no metadata for injection', async () => {
    install('tsx');
    writeApplication('commonjs', { type: "'text'" });

    const ended = await listen();
    expect(ended).toMatchObject({ code: 2, stdout: '' });
    expect(ended.stderr).toMatch(
      /^pgpubsub: \S+ is TypeScript and requires ts-node, .+ Run "npm install -D ts-node"/,
    );
  });
});

it('pgpubsub names the command to type when no loader for TypeScript is installed', async () => {
  install();
  writeApplication('commonjs', { emitDecoratorMetadata: false });

  const ended = await status();
  // Node loads the file itself and fails at the decorators
  if (isNative) return expect(ended.code).toBe(2);
  expect(ended).toMatchObject({ code: 2, stdout: '' });
  expect(ended.stderr).toMatch(
    /^pgpubsub: \S+data-source\.ts is TypeScript and requires tsx or ts-node, .+ Run "npm install -D tsx", or name the built file\.\n$/,
  );
});

it.each([
  ['--import', (loader: string) => ({ args: ['--import', loader], environment: {} })],
  ['NODE_OPTIONS', (loader: string) => ({ args: [], environment: { NODE_OPTIONS: `-r ${loader}` } })],
])('pgpubsub leaves TypeScript to a loader that %s registers', async (_where, givenBy) => {
  install('tsx');
  const loader = write('loader.cjs', `require.extensions['.ts'] = require.extensions['.js'];`);
  const options = `{ type: 'postgres', url: process.env.DATABASE_URL }`;
  write('package.json', '{}');
  write('tsconfig.json', '{}');
  write(
    'src/data-source.ts',
    `console.error(process.env.TSX_TSCONFIG_PATH ?? 'by its own'); exports.AppDataSource = new (require('typeorm').DataSource)(${options});`,
  );

  const { args, environment } = givenBy(loader);
  const file = path.join(folder, 'src/data-source.ts');
  const ended = await pgpubsub(['status', '-d', file, ...args], {
    DATABASE_URL: database.url,
    ...environment,
  });
  expect(ended).toMatchObject({ code: 0, stderr: 'by its own\n' });
});
