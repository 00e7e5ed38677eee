import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import {
  Listener,
  NotifyChanges,
  PgPubSubModule,
  defineChannel,
  withPgPubSub,
  type EntityChange,
  type Notification,
  type PgPubSubOptions,
  type PubSubEvent,
} from 'nestjs-pgpubsub';
import pg from 'pg';
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { expect, inject } from 'vitest';
import { z } from 'zod';
import { TestApp } from './app.js';
import { TestDatabase } from './database.js';
import { Mailbox, eventually } from './mailbox.js';

@Entity()
@NotifyChanges({ on: ['insert', 'update'] })
export class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') name!: string;
}

@Entity()
@NotifyChanges({ on: ['insert'], delivery: 'exactly-once', ordered: true })
export class Invoice {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') name!: string;
}

/** A table of the application that is never notified. */
@Entity()
export class Secret {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') name!: string;
}

export const Posts = defineChannel('posts', { schema: z.object({ name: z.string() }) });
export const Orders = defineChannel<unknown>('orders', { delivery: 'exactly-once' });
export const Moves = defineChannel<unknown>('moves', { delivery: 'exactly-once', ordered: true });

/** Every channel with LISTEN, including the one of hints. */
export const CHANNELS = ['author', 'invoice', 'posts', 'orders', 'moves', 'pgpubsub'];
export const POOL_SIZE = 6;
const STORED = [Orders, Moves];
const ENTITIES = [Author, Invoice, Secret];

export interface Call {
  readonly listener: 'author' | 'invoice' | 'posts' | 'orders' | 'moves';
  readonly payload: unknown;
  readonly context: unknown;
}

/** The statements that grant a role its rights; its schema has the name of the role. */
export const ROLES = {
  'may only connect': () => '',
  'owns a schema of its own': (role: string) => `create schema ${role} authorization ${role}`,
  'has the documented grants': (role: string) =>
    `grant insert (channel, payload, key, context, available_at), select (id) on pgpubsub_notification to ${role}`,
};
export type Kind = keyof typeof ROLES;
export const KINDS = Object.keys(ROLES) as Kind[];

/** The time within which an expected event happens. */
export const SOON_MS = 10_000;

const QUICK: PgPubSubOptions = {
  retry: { maxAttempts: 2, minDelayMs: 10, maxDelayMs: 50 },
  poll: { intervalMs: 5_000, deafIntervalMs: 1_000 },
};

/**
 * A database with an application that is not a superuser, and a hostile role that may connect to
 * it. The application owns the database, and only it may create objects in the schema "public".
 * Disposing of it removes both roles, too.
 */
export class Scene implements AsyncDisposable {
  readonly calls = new Mailbox<Call>();
  readonly events = new Mailbox<PubSubEvent>();
  /** Called for each call of a listener, after it was recorded. */
  onCall: (call: Call) => unknown = () => undefined;
  private readonly apps: TestApp[] = [];
  private readonly sources: DataSource[] = [];
  private readonly clients: pg.Client[] = [];

  private constructor(
    readonly database: TestDatabase,
    readonly application: string,
    readonly role: string,
  ) {}

  /** Creates the roles and the database, without an application. */
  static async prepare(): Promise<Scene> {
    const database = await TestDatabase.create();
    const id = randomUUID().slice(0, 8);
    const scene = new Scene(database, `application_${id}`, `hostile_${id}`);
    for (const role of [scene.application, scene.role])
      await database.query(`create role ${role} login password '${role}'`);
    await database.query(`alter database ${database.name} owner to ${scene.application};
      revoke create on schema public from public; grant all on schema public to ${scene.application}`);
    return scene;
  }

  /** Starts an application that listens, with a role of this kind. */
  static async start(kind: Kind, options: PgPubSubOptions = {}): Promise<Scene> {
    const scene = await Scene.prepare();
    try {
      await scene.startApplication(options);
      await scene.administer(ROLES[kind](scene.role));
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
    return scene;
  }

  get app(): TestApp {
    const [app] = this.apps;
    if (app === undefined) throw new Error('expected the application to be started');
    return app;
  }

  async startApplication(options: PgPubSubOptions = {}): Promise<void> {
    const app = await TestApp.start({
      url: this.urlFor(this.application),
      providers: [this.createListeners()],
      dataSource: { entities: ENTITIES, synchronize: true, poolSize: POOL_SIZE },
      patch: (source) => withPgPubSub(source, { channels: STORED }),
      imports: [PgPubSubModule.forFeature([Posts, ...STORED])],
      options: { ...QUICK, ...options },
    });
    this.apps.push(app);
    app.pubsub.events$.subscribe(this.events.push);
  }

  /** A DataSource of the application, for its schema builder. */
  async connect(entities: readonly (new () => object)[] = ENTITIES, more: object = {}): Promise<DataSource> {
    const source = this.createSource(entities);
    return withPgPubSub(source, { channels: STORED, ...more }).initialize();
  }

  connectPlain(): Promise<DataSource> {
    return this.createSource(ENTITIES).initialize();
  }

  /** The statements of the migration that would be generated now, and those that revert it. */
  async generate(entities?: readonly (new () => object)[], more?: object): Promise<string[]> {
    const source = await this.connect(entities, more);
    const { upQueries, downQueries } = await source.driver.createSchemaBuilder().log();
    return [...upQueries, ...downQueries].map(({ query }) => query);
  }

  hostile(): Promise<pg.Client> {
    return this.clientOf(this.role);
  }

  /** A session of the application outside of its pool. */
  own(): Promise<pg.Client> {
    return this.clientOf(this.application);
  }

  /** Runs SQL as the owner of the server. */
  administer(sql: string): Promise<pg.QueryResultRow[]> {
    return this.database.query(sql);
  }

  /** Sends one notification of each kind, and waits until each has arrived at its listener. */
  async expectToWork(): Promise<void> {
    const name = `proof ${randomUUID()}`;
    const { pubsub, dataSource } = this.app;
    await pubsub.notify(Posts, { name });
    await pubsub.notify(Orders, { name });
    await pubsub.notify(Moves, { name }, { key: name });
    await dataSource.manager.save(Author, { name });
    await dataSource.manager.save(Invoice, { name });
    for (const listener of ['posts', 'author', 'orders', 'moves', 'invoice'] as const)
      await this.arrives(name, listener);
    const isStopped = ({ type }: PubSubEvent) => type === 'claim-failed' || type === 'disconnected';
    expect(this.events.all.filter(isStopped)).toEqual([]);
  }

  /** Resolves when a listener was called with a payload or a row of this name. */
  arrives(name: string, listener: Call['listener']): Promise<void> {
    const has = () =>
      this.calls.all.some((call) => call.listener === listener && nameIn(call.payload) === name);
    return eventually(has, `"${name}" arrives at ${listener}`, SOON_MS);
  }

  /** The calls that no notification of the application has caused. */
  get foreignCalls(): Call[] {
    return this.calls.all.filter(({ payload }) => !String(nameIn(payload)).startsWith('proof '));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.administer(
      `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${this.role}'`,
    ); // including those that wait for a lock
    for (const client of this.clients) await client.end().catch(() => undefined);
    for (const app of this.apps) await app.close();
    for (const source of this.sources) if (source.isInitialized) await source.destroy();
    await this.database[Symbol.asyncDispose]();
    const server = new pg.Client(inject('serverUrl'));
    await server.connect();
    try {
      await server.query(`drop role ${this.application}, ${this.role}`);
    } finally {
      await server.end();
    }
  }

  private createSource(entities: readonly (new () => object)[]): DataSource {
    const url = this.urlFor(this.application);
    const source = new DataSource({ type: 'postgres', url, entities: [...entities] });
    this.sources.push(source);
    return source;
  }

  private createListeners() {
    const { calls } = this;
    const receive = async (listener: Call['listener'], payload: unknown, { context }: Notification) => {
      const call = { listener, payload, context };
      calls.push(call);
      await this.onCall(call);
    };
    @Injectable()
    class Listeners {
      @Listener(Author)
      author(payload: EntityChange, notification: Notification) {
        return receive('author', payload, notification);
      }
      @Listener(Invoice)
      invoice(payload: EntityChange, notification: Notification) {
        return receive('invoice', payload, notification);
      }
      @Listener(Posts)
      posts(payload: unknown, notification: Notification) {
        return receive('posts', payload, notification);
      }
      @Listener(Orders)
      orders(payload: unknown, notification: Notification) {
        return receive('orders', payload, notification);
      }
      @Listener(Moves)
      moves(payload: unknown, notification: Notification) {
        return receive('moves', payload, notification);
      }
    }
    return Listeners;
  }

  private async clientOf(role: string): Promise<pg.Client> {
    const client = new pg.Client(this.urlFor(role));
    client.on('error', () => undefined);
    await client.connect();
    this.clients.push(client);
    return client;
  }

  private urlFor(role: string): string {
    const url = new URL(this.database.url);
    url.username = role;
    url.password = role;
    return url.href;
  }
}

/** The name in a payload, or in the new row of a change. */
export function nameIn(payload: unknown): unknown {
  const { name, new: row } = (payload ?? {}) as { name?: unknown; new?: { name?: unknown } | null };
  return row?.name ?? name;
}

/** Runs a statement that the server may reject; resolves with the error. */
export async function attempt(
  client: pg.Client,
  sql: string,
  parameters: unknown[] = [],
): Promise<Error | undefined> {
  try {
    await client.query(sql, parameters);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}
