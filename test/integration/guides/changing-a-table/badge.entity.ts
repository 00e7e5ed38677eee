import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** What listeners write. */
@Entity()
export class Badge {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  text!: string;
}
