import { NotifyChanges } from 'nestjs-pgpubsub';
import { Column, CreateDateColumn, Entity, PrimaryGeneratedColumn } from 'typeorm';

/**
 * A record of a stored notification that a listener handled, written in the listener's transaction.
 */
@Entity({ name: 'handling' })
@NotifyChanges({ on: 'insert' })
export class Handling {
  @PrimaryGeneratedColumn('identity', { type: 'integer', generatedIdentity: 'ALWAYS' })
  id!: number;

  /** The `settings.processName` of the process that handled it. */
  @Column({ type: 'text' })
  process!: string;

  @Column({ type: 'text' })
  channel!: string;

  @Column({ name: 'notification_id', type: 'bigint' })
  notificationId!: string;

  /** The number of the successful attempt, from 1. */
  @Column({ type: 'integer' })
  attempt!: number;

  @CreateDateColumn({ name: 'handled_at', type: 'timestamptz' })
  handledAt!: Date;
}
