import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** Written by the listeners. */
@Entity()
export class Badge {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  text!: string;
}
