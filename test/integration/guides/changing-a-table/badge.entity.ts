import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** The table that the listeners write. */
@Entity()
export class Badge {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  text!: string;
}
