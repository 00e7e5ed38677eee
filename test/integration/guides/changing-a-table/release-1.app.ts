import {
  NotifyChanges,
  OnInsert,
  type EntityChange,
  type Notification,
} from 'nestjs-pgpubsub';
import {
  Column,
  Entity,
  PrimaryGeneratedColumn,
  type MigrationInterface,
  type QueryRunner,
} from 'typeorm';
import { Badge } from './badge.entity.js';

@Entity('member')
@NotifyChanges({ on: ['insert', 'update'], delivery: 'exactly-once' })
export class Member {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  name!: string;

  @Column('text', { nullable: true })
  firstName!: string | null;

  @Column('text', { nullable: true })
  lastName!: string | null;
}

export class AddNameParts1800000000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`alter table member
      add "firstName" text, add "lastName" text`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table member drop "firstName", drop "lastName"');
  }
}

export class Badges {
  @OnInsert(Member)
  async print(
    { new: member }: EntityChange<Member>,
    { manager }: Notification<EntityChange<Member>>,
  ): Promise<void> {
    if (!member) return;
    // undefined in changes stored before, null in rows written by old code
    const text = member.firstName ?? member.name.replace(/ .*/, '');
    await manager.insert(Badge, { text });
  }
}
