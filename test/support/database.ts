import { randomUUID } from 'node:crypto';
import { withPgPubSub, type WithPgPubSubOptions } from 'nestjs-pgpubsub';
import pg from 'pg';
import { DataSource } from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';
import { inject } from 'vitest';
import { TestApp, type TestAppOptions } from './app.js';
import { urlOf, withClient } from './client.js';
import { templateWith } from './template.js';

/** The options of `withPgPubSub()`, and those of the DataSource besides its address. */
export interface GivenDataSource extends WithPgPubSubOptions {
  readonly dataSource?: Partial<PostgresDataSourceOptions>;
}

/**
 * A database on the server of the test run. The object exists before the database does, so its
 * address is known immediately. Disposing of it closes all that was connected with it, and drops
 * the database.
 */
export class TestDatabase implements AsyncDisposable {
  readonly name = `test_${randomUUID().replaceAll('-', '')}`;
  private readonly clients: pg.Client[] = [];
  private readonly apps: TestApp[] = [];
  private readonly sources: DataSource[] = [];

  constructor(private readonly serverUrl: string = inject('serverUrl')) {}

  /** Creates an empty database; `options` are those of CREATE DATABASE. */
  static async create(serverUrl?: string, options?: string): Promise<TestDatabase> {
    const database = new TestDatabase(serverUrl);
    await database.create(options);
    return database;
  }

  async create(options = ''): Promise<void> {
    await withClient(this.serverUrl, async (server) => {
      // copying files takes a third of the processor time of writing each page to the log
      const { rows } = await server.query<{ server_version_num: string }>('show server_version_num');
      const strategy = Number(rows[0]?.server_version_num) < 150_000 ? '' : 'strategy file_copy';
      await server.query(`create database ${this.name} ${options} ${strategy}`);
    });
  }

  /** Creates the database as a copy of a template that contains the result of these statements. */
  async createWith(statements: readonly string[]): Promise<void> {
    await this.create(`template ${await templateWith(this.serverUrl, statements)}`);
  }

  get url(): string {
    return urlOf(this.serverUrl, this.name);
  }

  /** Starts an application on this database. */
  async start(options: TestAppOptions = {}): Promise<TestApp> {
    const app = await TestApp.start({ url: this.url, ...options });
    this.apps.push(app);
    return app;
  }

  /** A DataSource of the library on this database, not initialized yet. */
  declare({ dataSource, ...options }: GivenDataSource = {}): DataSource {
    return withPgPubSub(this.createSource(dataSource), options);
  }

  connect(given?: GivenDataSource): Promise<DataSource> {
    return this.declare(given).initialize();
  }

  /** A DataSource without the library. */
  connectPlain(options: Partial<PostgresDataSourceOptions> = {}): Promise<DataSource> {
    return this.createSource(options).initialize();
  }

  /** A client of pg, like a program in any other language. */
  async client(): Promise<pg.Client> {
    const client = new pg.Client(this.url);
    client.on('error', () => undefined);
    await client.connect();
    this.clients.push(client);
    return client;
  }

  query<Row extends pg.QueryResultRow>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    return withClient(this.url, async (client) => (await client.query<Row>(sql, parameters)).rows);
  }

  /** The number of LISTEN connections to this database, found by their application name. */
  async listenSessions(): Promise<number> {
    const sql =
      "select count(*)::int as n from pg_stat_activity where datname = $1 and application_name like '%:listen'";
    const [row] = await this.query<{ n: number }>(sql, [this.name]);
    return row?.n ?? 0;
  }

  /** Ends the LISTEN connections as an administrator would; resolves with their number. */
  async terminateListeners(): Promise<number> {
    const sql = `select count(pg_terminate_backend(pid))::int as n from pg_stat_activity
      where datname = $1 and application_name like '%:listen'`;
    const [row] = await this.query<{ n: number }>(sql, [this.name]);
    return row?.n ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const app of this.apps.splice(0)) await app.close();
    for (const source of this.sources.splice(0)) if (source.isInitialized) await source.destroy();
    for (const client of this.clients.splice(0)) await client.end().catch(() => undefined);
    await withClient(this.serverUrl, async (server) => {
      // PostgreSQL 12 and older have no "with (force)"
      const sql = 'select pg_terminate_backend(pid) from pg_stat_activity where datname = $1';
      await server.query(sql, [this.name]);
      await server.query(`drop database if exists ${this.name}`);
    });
  }

  private createSource(options: Partial<PostgresDataSourceOptions> = {}): DataSource {
    const source = new DataSource({ type: 'postgres', url: this.url, ...options });
    this.sources.push(source);
    return source;
  }
}
