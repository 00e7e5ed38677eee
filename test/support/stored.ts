import type { Provider } from '@nestjs/common';
import { PgPubSubModule, withPgPubSub, type ChannelDefinition, type PgPubSubOptions } from 'nestjs-pgpubsub';
import pg from 'pg';
import { Column, DataSource, Entity, PrimaryGeneratedColumn, type EntityManager } from 'typeorm';
import { afterAll, beforeAll, vi } from 'vitest';
import { TestApp, type TestAppOptions } from './app.js';
import { TestDatabase } from './database.js';
import { eventually } from './mailbox.js';
import { STORED } from './storage.js';

/** What handlers write. */
@Entity()
export class Effect {
  @PrimaryGeneratedColumn('identity') id!: number;
  @Column('text') what!: string;
}

/** Quick to try again, and slow to look by itself: what is handled soon was hinted at, or its time was known. */
const QUICK: PgPubSubOptions = {
  retry: { minDelayMs: 20, maxDelayMs: 100 },
  poll: { intervalMs: 600_000, deafIntervalMs: 600_000 },
};

/** A row of the table of notifications, or of that of dead letters. */
export interface Stored {
  readonly id: string;
  readonly payload: unknown;
  readonly context: unknown;
  readonly key: string | null;
  readonly attempts: number;
  readonly handled_by: string[];
  readonly last_error: string | null;
  readonly listener: string;
  readonly deaths: number;
  readonly available_at: Date;
  readonly created_at: Date;
}

export interface StartStored extends Partial<TestAppOptions> {
  readonly providers?: Provider[];
  readonly channels?: readonly ChannelDefinition[];
}

/** A database for the file that has the storage, and a table "effect" for what handlers write. */
export function useStored() {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await TestDatabase.create();
    const source = new DataSource({
      type: 'postgres',
      url: database.url,
      entities: [Effect],
      synchronize: true,
    });
    await withPgPubSub(source, { channels: [STORED] }).initialize();
    await source.destroy();
  });
  afterAll(() => database[Symbol.asyncDispose]());

  const rows = (table: string, channel: ChannelDefinition): Promise<Stored[]> =>
    database.query<Stored & pg.QueryResultRow>(`select * from ${table} where channel = $1 order by id`, [
      channel.name,
    ]);
  const waiting = (channel: ChannelDefinition) => rows('pgpubsub_notification', channel);

  return {
    start: ({
      options,
      channels = [],
      imports = [],
      dataSource,
      ...rest
    }: StartStored = {}): Promise<TestApp> =>
      TestApp.start({
        url: database.url,
        dataSource: { entities: [Effect], ...dataSource },
        imports: [...imports, PgPubSubModule.forFeature([...channels])],
        options: { ...QUICK, ...options },
        ...rest,
      }),
    database: () => database,
    query: ((sql, parameters) => database.query(sql, parameters)) as TestDatabase['query'],
    waiting,
    deadLetters: (channel: ChannelDefinition) => rows('pgpubsub_dead_letter', channel),
    /** Resolves when none of the channel's notifications waits any more. */
    settled: (channel: ChannelDefinition) =>
      eventually(
        async () => (await waiting(channel)).length === 0,
        `nothing of "${channel.name}" is waiting`,
      ),
    /** What handlers have written and committed that begins so. */
    async effects(prefix = ''): Promise<string[]> {
      const sql = `select what from effect where what like $1 || '%' order by id`;
      return (await database.query<{ what: string }>(sql, [prefix])).map(({ what }) => what);
    },
  };
}

/** Ends the connection of a claim as a server that goes down does; resolves when the claim's process knows. */
export async function terminate(manager: EntityManager): Promise<void> {
  const client = (await manager.queryRunner?.connect()) as pg.Client;
  const ended = new Promise<void>((resolve) => client.once('end', resolve));
  const [row] = await manager.query<{ pid: number }[]>('select pg_backend_pid() as pid');
  await manager.connection.query('select pg_terminate_backend($1)', [row?.pid]);
  await ended;
}

export interface SentStatement {
  readonly text: string;
  readonly client: pg.Client;
}

/** Everything this process sends to PostgreSQL until the end of the test. */
export function recordStatements(): SentStatement[] {
  const sent: SentStatement[] = [];
  const query = pg.Client.prototype.query as (...args: unknown[]) => unknown;
  const spy = vi.spyOn(pg.Client.prototype, 'query') as unknown as {
    mockImplementation(implementation: (this: pg.Client, ...args: unknown[]) => unknown): void;
  };
  spy.mockImplementation(function (this: pg.Client, ...args: unknown[]) {
    const [first] = args;
    sent.push({ text: typeof first === 'string' ? first : (first as { text: string }).text, client: this });
    return query.apply(this, args);
  });
  return sent;
}

export const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

/** The texts of the extended protocol, as they go to the server: what travels within another query, too. */
export function recordParsed(): string[] {
  const parsed: string[] = [];
  const wire = pg.Connection.prototype as unknown as { parse(query: { text: string }): void };
  const parse = wire.parse;
  vi.spyOn(wire, 'parse').mockImplementation(function (this: object, query) {
    parsed.push(query.text);
    parse.call(this as typeof wire, query);
  });
  return parsed;
}
