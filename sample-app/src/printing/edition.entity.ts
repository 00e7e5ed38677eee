import { NotifyChanges } from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** An edition of the newspaper. Its listener fails as long as the press is jammed. */
@Entity({ name: 'edition' })
@NotifyChanges()
export class Edition {
  @PrimaryGeneratedColumn('identity', { type: 'integer', generatedIdentity: 'ALWAYS' })
  id!: number;

  @Column({ name: 'is_jammed', type: 'boolean', default: false })
  isJammed!: boolean;

  @Column({ name: 'printed_at', type: 'timestamptz', nullable: true })
  printedAt!: Date | null;
}
