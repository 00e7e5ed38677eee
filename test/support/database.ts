import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

/** A database of its own on the server of the test run; dropped when disposed of. */
export class TestDatabase implements AsyncDisposable {
  private readonly clients: pg.Client[] = [];

  private constructor(
    private readonly serverUrl: string,
    readonly name: string,
  ) {}

  /** `options` as CREATE DATABASE takes them. */
  static async create(serverUrl: string = inject('serverUrl'), options = ''): Promise<TestDatabase> {
    const database = new TestDatabase(serverUrl, `test_${randomUUID().replaceAll('-', '')}`);
    await database.onServer(`create database ${database.name} ${options}`);
    return database;
  }

  get url(): string {
    const url = new URL(this.serverUrl);
    url.pathname = `/${this.name}`;
    return url.href;
  }

  /** A bare client, as any other program in any other language would be. */
  async client(): Promise<pg.Client> {
    const client = new pg.Client(this.url);
    client.on('error', () => undefined);
    await client.connect();
    this.clients.push(client);
    return client;
  }

  async query<Row extends pg.QueryResultRow>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    const client = await this.client();
    try {
      return (await client.query<Row>(sql, parameters)).rows;
    } finally {
      await client.end();
    }
  }

  /** The LISTEN sessions of this database, by their application name. */
  async listenSessions(): Promise<number> {
    const sql =
      "select count(*)::int as n from pg_stat_activity where datname = $1 and application_name like '%:listen'";
    const [row] = await this.query<{ n: number }>(sql, [this.name]);
    return row?.n ?? 0;
  }

  /** Ends the LISTEN sessions as an administrator would; resolves with how many there were. */
  async terminateListeners(): Promise<number> {
    const sql = `select count(pg_terminate_backend(pid))::int as n from pg_stat_activity
      where datname = $1 and application_name like '%:listen'`;
    const [row] = await this.query<{ n: number }>(sql, [this.name]);
    return row?.n ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.clients) await client.end().catch(() => undefined);
    // PostgreSQL 12 and older have no "with (force)"
    await this.onServer(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${this.name}'`,
    );
    await this.onServer(`drop database ${this.name}`);
  }

  private async onServer(sql: string): Promise<void> {
    const client = new pg.Client(this.serverUrl);
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  }
}
