import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

@Entity()
export class Receipt {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('int', { unique: true })
  orderId!: number;
}
