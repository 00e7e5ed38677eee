import { Injectable, Logger } from '@nestjs/common';
import {
  Listener,
  NotifyChanges,
  OnInsert,
  OnUpdate,
  createNotificationStorage,
  createNotifyTrigger,
  dropNotificationStorage,
  dropNotifyTrigger,
  withPgPubSub,
  type EntityChange,
} from 'nestjs-pgpubsub';
import {
  Column,
  DataSource,
  Entity,
  PrimaryGeneratedColumn,
  type MigrationInterface,
  type QueryRunner,
} from 'typeorm';

/** The code of docs/table-changes.md. */

@Entity()
@NotifyChanges() // insert, update and delete, on the channel "author"
@NotifyChanges({
  channel: 'author_names',
  columns: ['id', 'name'],
  of: ['name'],
  when: 'NEW.active',
})
export class Author {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  name!: string;

  @Column('boolean', { default: true })
  active!: boolean;

  @Column('text', { nullable: true, select: false })
  password!: string | null;
}

@Entity()
@NotifyChanges({ on: ['insert'], delivery: 'exactly-once', ordered: true })
export class Invoice {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('integer')
  amount!: number;
}

export const dataSource = withPgPubSub(
  new DataSource({
    type: 'postgres',
    url: process.env['DATABASE_URL'] ?? '',
    entities: [Author, Invoice],
  }),
);

export class NotifyAuthors1800000000000 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await createNotifyTrigger(queryRunner, {
      table: 'author',
      on: ['insert'],
      exclude: ['password'],
      primaryKey: ['id'],
    });
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await dropNotifyTrigger(queryRunner, { table: 'author' });
  }
}

export class StoreInvoices1800000000001 implements MigrationInterface {
  async up(queryRunner: QueryRunner): Promise<void> {
    await createNotificationStorage(queryRunner);
    await createNotifyTrigger(queryRunner, {
      table: 'invoice',
      on: ['insert'],
      delivery: 'exactly-once',
      ordered: true,
    });
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await dropNotifyTrigger(queryRunner, { table: 'invoice' });
    await dropNotificationStorage(queryRunner);
  }
}

@Injectable()
export class Authors {
  private readonly logger = new Logger(Authors.name);

  @OnInsert(Author)
  welcome({ new: author }: EntityChange<Author>): void {
    if (author) this.logger.log(`welcome, ${author.name}`);
  }

  @OnUpdate(Author)
  renamed({ old, new: author, changed }: EntityChange<Author>): void {
    if (!old || !author || !changed.includes('name')) return;
    this.logger.log(`${old.name} is ${author.name} now`);
  }

  @Listener('author_names')
  name({ new: author }: EntityChange<Author>): void {
    if (author) this.logger.log(`there is a name ${author.name}`);
  }
}
