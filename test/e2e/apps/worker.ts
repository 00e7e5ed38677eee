import 'reflect-metadata';
import { Inject, Injectable, Module, type OnModuleInit } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Listener, OnGap, PgPubSubModule, PubSubService, type Gap } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';

/** The commands of the parent to a process. The process reports each received payload over IPC. */
export type Command =
  | { readonly type: 'notify'; readonly channel: string; readonly payload: unknown }
  | {
      readonly type: 'notifyEach';
      readonly channel: string;
      readonly count: number;
      readonly inTransactions: boolean;
    }
  | { readonly type: 'close' };

export type Report =
  | { readonly type: 'ready' | 'sent' | 'closed' }
  | { readonly type: 'received'; readonly payload: unknown }
  | { readonly type: 'gap'; readonly seconds: number }
  | { readonly type: 'state'; readonly state: string };

const tell = (report: Report): void => void process.send?.(report);

@Injectable()
class Orders implements OnModuleInit {
  constructor(@Inject(PubSubService) private readonly pubsub: PubSubService) {}

  onModuleInit(): void {
    this.pubsub.connection$.subscribe((state) => tell({ type: 'state', state }));
  }

  @Listener('orders')
  async receive(payload: unknown): Promise<void> {
    await Promise.resolve();
    tell({ type: 'received', payload });
  }

  @OnGap()
  onGap({ from, to }: Gap): void {
    tell({ type: 'gap', seconds: (to.getTime() - from.getTime()) / 1_000 });
  }
}

@Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url: process.env['DATABASE_URL'] ?? '' }),
    PgPubSubModule.forRoot({ reconnect: { minDelayMs: 50, maxDelayMs: 500 } }),
  ],
  providers: [Orders],
})
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error'] });
app.enableShutdownHooks();
const pubsub = app.get(PubSubService);
const dataSource = app.get(DataSource);

async function run(command: Command): Promise<void> {
  switch (command.type) {
    case 'notify':
      await pubsub.notify(command.channel, command.payload);
      return tell({ type: 'sent' });
    case 'notifyEach':
      for (let id = 0; id < command.count; id++) {
        if (command.inTransactions)
          await dataSource.transaction((manager) => pubsub.notify(command.channel, { id }, { manager }));
        else await pubsub.notify(command.channel, { id });
      }
      return tell({ type: 'sent' });
    case 'close':
      await app.close();
      tell({ type: 'closed' });
      return;
    default:
      return command satisfies never;
  }
}

process.on('message', (command: Command) => void run(command));
tell({ type: 'ready' });
process.channel?.unref(); // only the application itself may keep the process alive
