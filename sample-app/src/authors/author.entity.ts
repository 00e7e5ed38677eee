import { NotifyChanges } from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/**
 * The triggers of the table notify, whichever program changes it: each new author is stored and
 * handled exactly once, and every change is broadcast to the pages that are open.
 */
@Entity({ name: 'author' })
@NotifyChanges({ on: ['insert'], delivery: 'exactly-once' })
@NotifyChanges({ channel: 'author_feed' })
export class Author {
  @PrimaryGeneratedColumn('identity', { type: 'integer', generatedIdentity: 'ALWAYS' })
  id!: number;

  @Column({ type: 'text' })
  name!: string;
}
