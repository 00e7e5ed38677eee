import 'reflect-metadata';
import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Listener, OnInsert, PgPubSubModule, defineChannel, type Notification } from 'nestjs-pgpubsub';
import { Author, entities } from '../stored/storage.js';

/** The application that the tests of `pgpubsub listen` start: its handlers take time or fail. */

interface Task {
  readonly n: number;
  /** The duration of the handler. */
  readonly ms?: number;
}

export const Tasks = defineChannel<Task>('tasks', { delivery: 'exactly-once' });
export const Failures = defineChannel<Task>('failures', { delivery: 'exactly-once' });
export const Others = defineChannel<Task>('others', { delivery: 'exactly-once' });

const WRITE = 'insert into effect (listener, notification, what, process) values ($1, $2, $3, $4)';

const write = async (listener: string, { id, manager }: Notification, what: unknown): Promise<void> => {
  await manager.query(WRITE, [listener, id, JSON.stringify(what), process.pid]);
};

@Injectable()
class TaskListeners {
  private readonly logger = new Logger('Tasks');

  @Listener(Tasks)
  async work({ n, ms = 0 }: Task, notification: Notification): Promise<void> {
    this.logger.log(`Working on ${n}`);
    await delay(ms);
    await write('work', notification, { n });
  }

  @Listener(Failures)
  fail(): void {
    throw new Error('there is no way');
  }

  @OnInsert(Author)
  async greet({ new: author }: { new: Author | null }, notification: Notification): Promise<void> {
    await write('greet', notification, { name: author?.name });
  }

  @Listener('shouts')
  hear(text: string): void {
    this.logger.log(`Heard ${text}`);
  }
}

@Injectable()
class OtherListeners {
  @Listener(Others, { instance: 'second' })
  async work({ n }: Task, notification: Notification): Promise<void> {
    await write('other', notification, { n });
  }
}

const url = process.env['DATABASE_URL'] ?? '';
const database = TypeOrmModule.forRoot({ type: 'postgres', url, entities, retryAttempts: 1 });
const second = TypeOrmModule.forRoot({ type: 'postgres', url, name: 'second', retryAttempts: 1 });

/** The longest pause possible. Pauses are random values up to this one. */
const NEVER_MS = 2_147_483_647;

const pubsub = (options: Parameters<typeof PgPubSubModule.forRoot>[0] = {}) =>
  PgPubSubModule.forRoot({ retry: { minDelayMs: NEVER_MS, maxDelayMs: NEVER_MS }, ...options });

@Module({ imports: [database, pubsub()], providers: [TaskListeners] })
export class AppModule {}

@Module({ imports: [database, pubsub({ listen: false, verifySchema: false })], providers: [TaskListeners] })
export class SendingModule {}

@Module({ imports: [database, pubsub({ listen: ['tasks'] })], providers: [TaskListeners] })
export class ListedModule {}

@Module({
  imports: [
    database,
    pubsub(),
    second,
    pubsub({ name: 'second', dataSource: 'second', verifySchema: false }),
  ],
  providers: [TaskListeners, OtherListeners],
})
export class TwoDatabasesModule {}

@Module({ imports: [database, pubsub()] })
export class SilentModule {}

@Module({ providers: [TaskListeners] })
export class BareModule {}

@Module({
  imports: [database],
  providers: [
    {
      provide: 'mistake',
      useFactory: () => {
        throw new TypeError('a mistake of its own');
      },
    },
  ],
})
export class MistakenModule {}

@Module({ imports: [database, pubsub()], providers: [TaskListeners] })
export class StumblingModule {
  onModuleInit(): void {
    throw new TypeError('a mistake of its own');
  }
}
