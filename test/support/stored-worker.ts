import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import type { Command, Report, Settings } from '../e2e/apps/stored/messages.js';
import { channels, entities } from '../e2e/apps/stored/storage.js';
import { TestDatabase } from './database.js';
import { Mailbox, eventually } from './mailbox.js';

const ENTRY = fileURLToPath(new URL('../e2e/apps/.build/stored/worker.js', import.meta.url));

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process of the application in `test/e2e/apps/stored`. */
export class StoredWorker implements AsyncDisposable {
  readonly reports = new Mailbox<Report>();
  readonly exited: Promise<Exit>;
  private readonly child: ChildProcess;

  private constructor(url: string, settings: Settings) {
    this.child = fork(ENTRY, {
      env: { ...process.env, DATABASE_URL: url, SETTINGS: JSON.stringify(settings) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.child.on('message', (report: Report) => this.reports.push(report));
    this.exited = new Promise((resolve) =>
      this.child.once('exit', (code, signal) => resolve({ code, signal })),
    );
  }

  /** Does not wait until the process is ready: it may be killed before. */
  static spawn(url: string, settings: Settings): StoredWorker {
    return new StoredWorker(url, settings);
  }

  static async start(url: string, settings: Settings): Promise<StoredWorker> {
    const worker = new StoredWorker(url, settings);
    await worker.reported('ready');
    return worker;
  }

  send(command: Command): void {
    this.child.send(command);
  }

  async reported<Type extends Report['type']>(type: Type): Promise<Extract<Report, { type: Type }>> {
    const report = await this.reports.find((candidate) => candidate.type === type);
    return report as Extract<Report, { type: Type }>;
  }

  /** Resolves when its LISTEN connection reaches this state. */
  async reaches(state: string): Promise<void> {
    await this.reports.find((report) => report.type === 'state' && report.state === state);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

/** A database with the tables of the worker application, and the queries of the tests. */
export class StoredDatabase implements AsyncDisposable {
  private constructor(private readonly database: TestDatabase) {}

  static async create(serverUrl?: string): Promise<StoredDatabase> {
    const database = await TestDatabase.create(serverUrl);
    const stored = new StoredDatabase(database);
    await stored.synchronize();
    return stored;
  }

  get url(): string {
    return this.database.url;
  }

  client(): ReturnType<TestDatabase['client']> {
    return this.database.client();
  }

  query: TestDatabase['query'] = (sql, parameters) => this.database.query(sql, parameters);

  terminateListeners(): Promise<number> {
    return this.database.terminateListeners();
  }

  /** Synchronizes the tables, their triggers and the storage with these entities. */
  async synchronize(wanted: readonly (new () => object)[] = entities): Promise<void> {
    const source = new DataSource({ type: 'postgres', url: this.url, entities: [...wanted] });
    await withPgPubSub(source, { channels }).initialize();
    try {
      await source.synchronize();
    } finally {
      await source.destroy();
    }
  }

  async count(what: string, parameters: unknown[] = []): Promise<number> {
    const [row] = await this.query<{ n: number }>(`select count(*)::int as n from ${what}`, parameters);
    return row?.n ?? 0;
  }

  /** Stores as any other client does, in one transaction; `key` is a property of the payloads. */
  async store(channel: string, payloads: readonly object[]): Promise<void> {
    const sql = "select pgpubsub_notify($1, p, p ->> 'key') from json_array_elements($2::json) as p";
    await this.query(sql, [channel, JSON.stringify(payloads)]);
  }

  async insertAuthors(count: number): Promise<void> {
    await this.query(`insert into author (name) select 'author ' || n from generate_series(1, $1) as n`, [
      count,
    ]);
  }

  /** The effects of a listener's handlers, in order. */
  async effects<What = { n: number }>(listener: string): Promise<What[]> {
    const rows = await this.query<{ what: What }>('select what from effect where listener = $1 order by id', [
      listener,
    ]);
    return rows.map(({ what }) => what);
  }

  deadLetters(): Promise<
    { id: string; listener: string; attempts: number; last_error: string; payload: unknown }[]
  > {
    return this.query(
      'select id, listener, attempts, last_error, payload from pgpubsub_dead_letter order by id, listener',
    );
  }

  /**
   * Resolves when no notification is waiting; fails when their number does not change for a long
   * time.
   */
  async drained(): Promise<void> {
    for (;;) {
      const left = await this.count('pgpubsub_notification');
      if (left === 0) return;
      const hasChanged = async () => (await this.count('pgpubsub_notification')) !== left;
      await eventually(hasChanged, `other than ${left} notifications were waiting`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.database[Symbol.asyncDispose]();
  }
}
