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

  /** Read from waiting changes, no longer written. */
  @Column('text', { nullable: true })
  name!: string | null;

  @Column('text')
  firstName!: string;

  @Column('text')
  lastName!: string;
}

export class FillNameParts1800000000002 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // Notifies no listener.
    await runner.query(`set local pgpubsub.disabled = 'on'`);
    await runner.query(`update member
      set "firstName" = split_part(name, ' ', 1),
        "lastName" = split_part(name, ' ', 2)
      where "firstName" is null`);
    await runner.query(`set local pgpubsub.disabled = 'off'`);
    await runner.query(`alter table member alter name drop not null,
      alter "firstName" set not null, alter "lastName" set not null`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      'alter table member alter "firstName" drop not null, alter "lastName" drop not null',
    );
  }
}

export class Badges {
  @OnInsert(Member)
  async print(
    { new: member }: EntityChange<Member>,
    { manager }: Notification<EntityChange<Member>>,
  ): Promise<void> {
    if (!member) return;
    // Changes in the old form may still wait.
    const text = member.firstName ?? member.name?.replace(/ .*/, '');
    await manager.insert(Badge, { text });
  }
}
