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

it('is content with a database that is as declared', async () => {
  const ended = await check();
  expect(ended).toEqual({ code: 0, stdout: 'The database is as the DataSource declares it.\n', stderr: '' });
  expect(JSON.parse((await check('--json')).stdout)).toEqual({ differences: [] });
});

it('tells each difference and what to run, and changes nothing', async () => {
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
  });
});
