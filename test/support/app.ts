import type {
  DynamicModule,
  INestApplicationContext,
  LoggerService,
  ModuleMetadata,
  Provider,
  Type,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PgPubSubModule, PubSubService, type PgPubSubExtras, type PgPubSubOptions } from 'nestjs-pgpubsub';
import { DataSource, type DataSourceOptions } from 'typeorm';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions.js';
import { Mailbox } from './mailbox.js';

export interface LogLine {
  readonly level: 'log' | 'warn' | 'error';
  readonly text: string;
}

export interface TestAppOptions {
  readonly url?: string;
  readonly providers?: Provider[];
  readonly controllers?: Type[];
  readonly imports?: ModuleMetadata['imports'];
  readonly options?: PgPubSubOptions & PgPubSubExtras;
  readonly dataSource?: Partial<PostgresDataSourceOptions>;
  /** Changes or replaces the DataSource before it is initialized. */
  readonly patch?: (dataSource: DataSource) => DataSource;
  /** Replaces `PgPubSubModule.forRoot(options)`. */
  readonly module?: DynamicModule;
}

/** A Nest application with TypeORM and this library, as users have it; closed when disposed of. */
export class TestApp implements AsyncDisposable {
  private isClosed = false;

  private constructor(
    readonly app: INestApplicationContext,
    /** The log lines of the library and of Nest. */
    readonly log: Mailbox<LogLine>,
  ) {}

  static async start(options: TestAppOptions): Promise<TestApp> {
    const log = new Mailbox<LogLine>();
    const module = await Test.createTestingModule({
      imports: [
        TypeOrmModule.forRootAsync({
          useFactory: () => ({
            type: 'postgres',
            retryAttempts: 0,
            ...(options.url && { url: options.url }),
            ...options.dataSource,
          }),
          ...(options.patch && { dataSourceFactory: patched(options.patch) }),
        }),
        options.module ?? PgPubSubModule.forRoot(options.options),
        ...(options.imports ?? []),
      ],
      providers: options.providers ?? [],
      controllers: options.controllers ?? [],
    })
      .setLogger(collect(log))
      .compile();
    const app = module.createNestApplication({ logger: collect(log) });
    try {
      await app.init();
    } catch (error) {
      await app.get(DataSource).destroy(); // Nest runs no shutdown hooks in this case
      throw error;
    }
    return new TestApp(app, log);
  }

  get pubsub(): PubSubService {
    return this.app.get(PubSubService);
  }

  get dataSource(): DataSource {
    return this.app.get(DataSource);
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.app.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function collect(log: Mailbox<LogLine>): LoggerService {
  const at = (level: LogLine['level']) => (message: unknown) =>
    log.push({ level, text: message instanceof Error ? message.message : String(message) });
  return { log: at('log'), warn: at('warn'), error: at('error') };
}

const patched = (patch: (dataSource: DataSource) => DataSource) => (given?: DataSourceOptions) => {
  if (given === undefined) throw new Error('expected options');
  return Promise.resolve(patch(new DataSource(given))); // Nest initializes it
};
