import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Listener, PgPubSubModule, defineChannel, type Notification } from 'nestjs-pgpubsub';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { addTransactionalDataSource } from 'typeorm-transactional';

/** An application that needs .env and a transactional context, both prepared by main.ts. */

const Letters = defineChannel<{ readonly n: number }>('letters', { delivery: 'exactly-once' });

const url = process.env['APP_DATABASE_URL'];
if (url === undefined) throw new Error('APP_DATABASE_URL is not set');

@Injectable()
class LetterListeners {
  @Listener(Letters)
  async post({ n }: { readonly n: number }, { id, manager }: Notification): Promise<void> {
    await manager.query(
      'insert into effect (listener, notification, what, process) values ($1, $2, $3, $4)',
      ['post', id, JSON.stringify({ n }), process.pid],
    );
  }
}

const database = TypeOrmModule.forRootAsync({
  useFactory: () => ({ type: 'postgres', url }),
  dataSourceFactory: async (options) =>
    addTransactionalDataSource(new DataSource(options as DataSourceOptions)), // required by typeorm-transactional
});

@Module({
  imports: [database, PgPubSubModule.forRoot({ verifySchema: false })],
  providers: [LetterListeners],
})
export class AppModule {}
