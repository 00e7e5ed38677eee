import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { EventStream } from './event-stream.js';
import type { TestDatabase } from './database.js';
import { Mailbox, eventually } from './mailbox.js';

const fromHere = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

const PROGRAM = [fromHere('../../sample-app/dist/main.js')];
/** The programs of `npm start`, without building. */
const ALL = [
  fromHere('../../tools/with-postgres.js'),
  process.execPath,
  fromHere('../../tools/start-newsroom.js'),
];

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The parsed JSON of an answer in JSON. */
  readonly body: unknown;
}

/** The built sample application, one process or all of `npm start`; ended when disposed of. */
export class SampleApp implements AsyncDisposable {
  /** The lines of its output. */
  readonly output = new Mailbox<string>();
  readonly exit = new Mailbox<Exit>();
  private readonly child: ChildProcessByStdio<null, Readable, Readable>;

  private constructor(env: NodeJS.ProcessEnv, program: readonly string[] = PROGRAM) {
    this.child = spawn(process.execPath, program, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: program === ALL, // a group of its own, as in a terminal
      env: { ...env, NO_COLOR: '1' },
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      createInterface(stream).on('line', this.output.push);
    // "close" is emitted after the last line
    this.child.once('close', (code, signal) => this.exit.push({ code, signal }));
  }

  /** Runs one process with only this environment; it may end immediately. */
  static run(env: NodeJS.ProcessEnv): SampleApp {
    return new SampleApp(env);
  }

  /** Runs all processes with only this environment. */
  static runAll(env: NodeJS.ProcessEnv): SampleApp {
    return new SampleApp(env, ALL);
  }

  /** Starts one process, on a free port by default; resolves when it prints its address. */
  static start(databaseUrl: string, port = 0): Promise<SampleApp> {
    return SampleApp.opened(new SampleApp({ PORT: `${port}`, DATABASE_URL: databaseUrl }));
  }

  /**
   * Starts one process and two processes that listen; resolves when the first one prints its
   * address.
   */
  static startAll(databaseUrl: string): Promise<SampleApp> {
    return SampleApp.opened(new SampleApp({ PORT: '0', DATABASE_URL: databaseUrl }, ALL));
  }

  private static async opened(app: SampleApp): Promise<SampleApp> {
    await Promise.race([app.output.find((line) => line.includes('Open http')), app.exit.find(() => true)]);
    if (app.exit.all.length > 0)
      throw new Error(`the sample application ended:\n${app.output.all.join('\n')}`);
    return app;
  }

  /** The address that it prints. */
  get origin(): string {
    return /Open (http:\S+)/.exec(this.output.all.join('\n'))?.[1] ?? '';
  }

  async request(method: 'GET' | 'POST' | 'PATCH', path: string, body?: unknown): Promise<Answer> {
    const json = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const response = await fetch(this.origin + path, { method, ...(body !== undefined && json) });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json') ?? false;
    const { status, headers } = response;
    return { status, headers, text, body: isJson ? JSON.parse(text) : undefined };
  }

  /**
   * Opens the feed. With the database of a single process, resolves when the process listens to all
   * channels of the feed.
   */
  async feed(database?: TestDatabase): Promise<EventStream> {
    const [{ now } = {}] =
      (await database?.query<{ now: string }>('select clock_timestamp()::text as now')) ?? [];
    const stream = await EventStream.open(`${this.origin}/feed`);
    // LISTEN was sent before the answer, and a session runs its statements one after the other
    const idle = `select from pg_stat_activity where datname = current_database()
      and application_name like $1 and state = 'idle' and query_start > $2::timestamptz`;
    const isListening = async () =>
      (await database?.query(idle, [`%-${this.child.pid}:listen`, now]))?.length === 1;
    if (database) await eventually(isListening, 'what the feed shows is listened to');
    return stream;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Sends the signal of Ctrl-C in a terminal to all processes. */
  interrupt(): void {
    process.kill(-this.groupId, 'SIGINT');
  }

  /** Whether any of its processes still exists. */
  get isRunning(): boolean {
    try {
      return process.kill(-this.groupId, 0);
    } catch {
      return false;
    }
  }

  private get groupId(): number {
    if (this.child.pid === undefined) throw new Error('the sample application could not be started');
    return this.child.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.exit.all.length > 0) return;
    this.kill('SIGTERM');
    await this.exit.find(() => true).catch(() => this.kill('SIGKILL'));
  }
}
