import { NotifyChanges, createNotificationStorage, createNotifyTrigger } from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryGeneratedColumn, type MigrationInterface, type QueryRunner } from 'typeorm';

/** The application before the first release of docs/guides/changing-a-table.md. */

@Entity('member')
@NotifyChanges({ on: ['insert', 'update'], delivery: 'exactly-once' })
export class Member {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  name!: string;
}

export class CreateMembers1800000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('create table member (id serial primary key, name text not null)');
    await runner.query('create table badge (id serial primary key, text text not null)');
    await createNotificationStorage(runner);
    await createNotifyTrigger(runner, {
      table: 'member',
      on: ['insert', 'update'],
      delivery: 'exactly-once',
    });
  }

  async down(): Promise<void> {}
}
