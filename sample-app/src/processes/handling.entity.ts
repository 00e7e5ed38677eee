import { NotifyChanges } from 'nestjs-pgpubsub';
import { Column, CreateDateColumn, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** That a listener has handled a stored notification, and in which process: written together with what it did. */
@Entity({ name: 'handling' })
@NotifyChanges({ on: 'insert' })
export class Handling {
  @PrimaryGeneratedColumn('identity', { type: 'integer', generatedIdentity: 'ALWAYS' })
  id!: number;

  /** As in `settings.processName`. */
  @Column({ type: 'text' })
  process!: string;

  @Column({ type: 'text' })
  channel!: string;

  @Column({ name: 'notification_id', type: 'bigint' })
  notificationId!: string;

  /** 1 the first time. */
  @Column({ type: 'integer' })
  attempt!: number;

  @CreateDateColumn({ name: 'handled_at', type: 'timestamptz' })
  handledAt!: Date;
}
