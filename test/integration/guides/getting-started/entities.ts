import { NotifyChanges } from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

@Entity()
@NotifyChanges({ on: ['insert'], delivery: 'exactly-once' })
export class Author {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  name!: string;
}

@Entity()
export class Post {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  content!: string;
}
