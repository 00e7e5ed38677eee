import { NotifyChanges, OnInsert, type EntityChange, type Notification } from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryGeneratedColumn, type MigrationInterface, type QueryRunner } from 'typeorm';
import { Badge } from './badge.entity.js';

@Entity('member')
@NotifyChanges({ on: ['insert'], delivery: 'exactly-once' })
export class Member {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  firstName!: string;

  @Column('text')
  lastName!: string;
}

export class DropName1800000000003 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('alter table member drop name');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('alter table member add name text');
  }
}

export class Badges {
  @OnInsert(Member)
  async print(
    { new: member }: EntityChange<Member>,
    { manager }: Notification<EntityChange<Member>>,
  ): Promise<void> {
    if (!member) return;
    await manager.insert(Badge, { text: member.firstName });
  }
}
