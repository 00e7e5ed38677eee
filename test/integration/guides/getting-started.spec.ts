import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { eventually } from '../../support/mailbox.js';
import { generate, run } from '../../support/storage.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();
const started: INestApplication[] = [];

beforeAll(async () => {
  vi.stubEnv('DATABASE_URL', database.url);
});
afterAll(async () => {
  for (const app of started) await app.close();
  vi.unstubAllEnvs();
});

/** Loads new copies of the modules, as another process does, and so another DataSource. */
async function load() {
  vi.resetModules();
  const { dataSource } = await import('./getting-started/data-source.js');
  const { AppModule } = await import('./getting-started/app.module.js');
  return { dataSource, AppModule };
}

/** The log lines of both applications: Nest uses its last logger for all of them. */
const lines: string[] = [];
const log = (line: unknown) => lines.push(String(line));
const logged = (line: string, count: number) =>
  eventually(
    () => lines.filter((text) => text === line).length === count,
    `"${line}" is logged ${count} times`,
  );

async function start(): Promise<string> {
  const { AppModule } = await load();
  const module = await Test.createTestingModule({ imports: [AppModule] })
    .setLogger({ log, warn: log, error: log })
    .compile();
  const app = module.createNestApplication();
  started.push(app);
  await app.listen(0, '127.0.0.1');
  return app.getUrl();
}

it('the application of docs/getting-started.md runs in two processes as described', async () => {
  const { dataSource } = await load();
  await dataSource.initialize();
  await run(dataSource, (await generate(dataSource)).up);
  await dataSource.destroy();
  const origin = await start();
  await start();

  await database.query(`insert into author (name) values ('Ada')`);
  await logged('welcomed Ada', 1);
  const waiting = () => database.query('select from pgpubsub_notification');
  await eventually(async () => (await waiting()).length === 0, 'the claim is committed');
  await expect(database.query('select content from post')).resolves.toEqual([{ content: 'Welcome, Ada!' }]);

  await fetch(`${origin}/posts/1`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ content: 'Changed' }),
  });
  await logged('post 1 has changed', 2);
  await expect(database.query('select content from post')).resolves.toEqual([{ content: 'Changed' }]);

  await database.query(`select pg_notify('post_changed', '{"id":2}')`);
  await logged('post 2 has changed', 2);
});
