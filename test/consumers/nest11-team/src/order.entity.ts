import { NotifyChanges } from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

@Entity()
@NotifyChanges({
  on: ['insert'],
  delivery: 'exactly-once',
  retry: { minDelayMs: 1, maxDelayMs: 100 },
  exclude: ['cardNumber'],
})
export class Order {
  @PrimaryGeneratedColumn()
  id: number;

  @Column()
  customer: string;

  @Column({ nullable: true })
  cardNumber?: string;
}
