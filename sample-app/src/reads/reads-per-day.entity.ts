import { NotifyChanges } from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryColumn } from 'typeorm';

/** The number of reads of posts on a day (UTC). */
@Entity({ name: 'reads_per_day' })
@NotifyChanges({ on: 'update' })
export class ReadsPerDay {
  @PrimaryColumn({ type: 'date' })
  date!: string;

  @Column({ type: 'integer', default: 0 })
  reads!: number;
}
