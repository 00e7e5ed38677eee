import { describe, expect, it } from 'vitest';
import { TestDatabase } from '../support/database.js';
import { eventually } from '../support/mailbox.js';
import { SampleApp } from '../support/sample-app.js';

describe('npm start', () => {
  it('runs one web process and two listeners, and prints the URL to open in one line', async () => {
    await using database = await TestDatabase.create();
    await using app = await SampleApp.startAll(database.url);

    await eventually(async () => (await database.listenSessions()) === 3, 'all three processes listen');

    expect(app.output.all).toEqual([expect.stringMatching(/Open http:\/\/localhost:\d+$/)]);
    await expect(rolesOf(database)).resolves.toEqual(['listener', 'listener', 'web']);
  });

  it('leaves stored notifications to the two listeners', async () => {
    await using database = await TestDatabase.create();
    await using app = await SampleApp.startAll(database.url);
    await eventually(async () => (await database.listenSessions()) === 3, 'all three processes listen');

    await app.request('POST', '/authors/crowds', { count: 500 });

    const sql = 'select process, count(*)::int as n from handling group by process';
    const shares = () => database.query<{ process: string; n: number }>(sql);
    await eventually(async () => sum(await shares()) === 500, 'all first posts are written');
    const web = await nameOfWeb(database);
    expect((await shares()).map(({ process }) => process)).not.toContain(web);
  });

  it('ends all processes cleanly on Ctrl-C', async () => {
    await using database = await TestDatabase.create();
    await using app = await SampleApp.startAll(database.url);
    await eventually(async () => (await database.listenSessions()) === 3, 'all three processes listen');
    await using feed = await app.feed();

    app.interrupt();

    await expect(app.exit.next()).resolves.toEqual({ code: 0, signal: null });
    expect(app.isRunning).toBe(false);
    await expect(feed.end.next()).resolves.toBe('ended');
  });

  it('ends all processes cleanly on Ctrl-C during the start', async () => {
    await using database = await TestDatabase.create();
    await using app = await SampleApp.startAll(database.url);

    app.interrupt();

    const { code } = await app.exit.next();
    expect([0, 130]).toContain(code); // 130: a process did not handle the signal yet
    expect(app.isRunning).toBe(false);
  });

  it('ends all processes cleanly on SIGTERM', async () => {
    await using database = await TestDatabase.create();
    await using app = await SampleApp.startAll(database.url);
    await eventually(async () => (await database.listenSessions()) === 3, 'all three processes listen');

    app.kill('SIGTERM');

    await expect(app.exit.next()).resolves.toEqual({ code: 0, signal: null });
    expect(app.isRunning).toBe(false);
  });

  it('ends all processes cleanly when it and its group receive signals at the same time', async () => {
    await using database = await TestDatabase.create();
    await using app = await SampleApp.startAll(database.url);
    await eventually(async () => (await database.listenSessions()) === 3, 'all three processes listen');

    app.kill('SIGTERM');
    app.interrupt();

    await expect(app.exit.next()).resolves.toEqual({ code: 0, signal: null });
    expect(app.isRunning).toBe(false);
  });

  it('ends all processes and names the reason when the port is taken', async () => {
    await using database = await TestDatabase.create();
    await using first = await SampleApp.start(database.url);
    const { port } = new URL(first.origin);

    await using app = SampleApp.runAll({ PORT: port, DATABASE_URL: database.url });

    await expect(app.exit.next()).resolves.toEqual({ code: 1, signal: null });
    expect(app.isRunning).toBe(false);
    expect(app.output.all.join('\n')).toContain(`Port ${port} is in use`);
  });
});

const NAMES = `select application_name as name from pg_stat_activity
  where datname = current_database() and application_name like 'newsroom %:listen' order by 1`;

async function rolesOf(database: TestDatabase): Promise<(string | undefined)[]> {
  const sessions = await database.query<{ name: string }>(NAMES);
  return sessions.map(({ name }) => name.split(' ')[1]);
}

async function nameOfWeb(database: TestDatabase): Promise<string | undefined> {
  const sessions = await database.query<{ name: string }>(NAMES);
  return /^newsroom web (\S+):listen$/.exec(
    sessions.find(({ name }) => name.includes(' web '))?.name ?? '',
  )?.[1];
}

const sum = (shares: readonly { n: number }[]): number => shares.reduce((total, { n }) => total + n, 0);
