import { afterAll, beforeAll, expect, it } from 'vitest';
import { STORED_DATA_SOURCE, pgpubsub } from '../support/command.js';
import { StoredDatabase } from '../support/stored-worker.js';

let database: StoredDatabase;
beforeAll(async () => {
  database = await StoredDatabase.create();
});
afterAll(() => database[Symbol.asyncDispose]());

const check = (...more: string[]) =>
  pgpubsub(['check', '-d', STORED_DATA_SOURCE, ...more], { DATABASE_URL: database.url });

const trigger = async () => {
  const [row] = await database.query<{ name: string }>(
    "select tgname as name from pg_trigger where tgrelid = 'author'::regclass order by 1 limit 1",
  );
  return row?.name ?? '';
};

it('pgpubsub check exits with 0 when the database matches the declarations', async () => {
  const ended = await check();
  expect(ended).toEqual({
    code: 0,
    stdout: 'The database matches the declarations of the DataSource.\n',
    stderr: '',
  });
  expect(JSON.parse((await check('--json')).stdout)).toEqual({ differences: [], warnings: [] });
});

it('pgpubsub check reports each difference with its remedy, and changes nothing', async () => {
  const name = await trigger();
  await database.query(`alter table author disable trigger ${name}`);
  await database.query('drop table pgpubsub_dead_letter');

  for (const _ of ['first', 'again']) {
    const ended = await check();
    expect(ended).toMatchObject({ code: 1, stderr: '' });
    expect(ended.stdout).toMatch(new RegExp(`disabled +│ trigger ${name} on public\\.author`));
    expect(ended.stdout).toMatch(/missing +│ table public\.pgpubsub_dead_letter/);
    expect(ended.stdout).toContain('Run "typeorm migration:run"');
    expect(ended.stdout).toContain('Undo what was changed by hand');
  }
  const { code, stdout } = await check('--json');
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toEqual({
    differences: [
      { kind: 'missing', object: 'table public.pgpubsub_dead_letter' },
      { kind: 'disabled', object: `trigger ${name} on public.author` },
    ],
    warnings: [],
  });
});

it('pgpubsub check warns about changes that the triggers miss, and exits with 0', async () => {
  await using warned = await StoredDatabase.create();
  await warned.query('create table child () inherits (author)');
  const checkWarned = (...more: string[]) =>
    pgpubsub(['check', '-d', STORED_DATA_SOURCE, ...more], { DATABASE_URL: warned.url });

  const json = await checkWarned('--json');
  expect(json.code).toBe(0);
  const { differences, warnings } = JSON.parse(json.stdout) as { differences: []; warnings: string[] };
  expect(differences).toEqual([]);
  expect(warnings).toEqual([
    expect.stringMatching(/^Changes of the table public\.child, .+ Declare it, too: /),
  ]);
  const GOOD = 'The database matches the declarations of the DataSource.\n';
  const text = `Warning: ${warnings[0]}\n`;
  expect(await checkWarned()).toEqual({ code: 0, stdout: GOOD + text, stderr: '' });

  await warned.query(`alter table author disable trigger user`);
  const ended = await checkWarned();
  expect(ended.code).toBe(1);
  expect(ended.stdout).toContain('disabled');
  expect(ended.stdout).not.toContain(GOOD);
  expect(ended.stdout.endsWith(text)).toBe(true);
});
