import { NotifyChanges, PgPubSubModule, defineChannel, withPgPubSub } from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import type { TestAppOptions } from './app.js';
import { useDatabase } from './use-database.js';

export const Orders = defineChannel<{ id: number }>('orders');
export const Mails = defineChannel<number>('mails', { delivery: 'exactly-once' });

@Entity()
@NotifyChanges({ on: ['insert'] })
export class Author {
  @PrimaryGeneratedColumn('identity') id!: number;
  @Column('text') name!: string;
}

/** A database, and applications with a broadcast, a stored and an entity channel. */
export function useTracedApp() {
  const database = useDatabase();

  const start = ({ imports = [], options, ...rest }: Partial<TestAppOptions> = {}) =>
    database.start({
      dataSource: { entities: [Author], synchronize: true },
      patch: (source) => withPgPubSub(source, { channels: [Mails] }),
      imports: [...imports, PgPubSubModule.forFeature([Orders, Mails])],
      options: {
        retry: { minDelayMs: 10, maxDelayMs: 20 },
        poll: { intervalMs: 600_000, deafIntervalMs: 600_000 },
        ...options,
      },
      ...rest,
    });

  return { database, start };
}
