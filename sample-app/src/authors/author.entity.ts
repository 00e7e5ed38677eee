import { NotifyChanges } from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/**
 * Whoever changes the table, this application or psql: new authors are stored for their listeners, which handle each
 * exactly once, and every change is shown to whoever looks on.
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
