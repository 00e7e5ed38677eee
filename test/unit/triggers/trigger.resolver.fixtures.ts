import { NotifyChanges, type NotifyChangesOptions } from 'nestjs-pgpubsub';
import { Column, Entity, ManyToOne, PrimaryGeneratedColumn, VirtualColumn } from 'typeorm';
import { messageOf } from '../../../lib/common/errors.js';
import { resolved, type Entities } from '../support/resolved.js';

class Address {
  @Column('text') street!: string;
  @Column('text', { name: 'postal_code' }) code!: string;
  @Column('text', { select: false }) door!: string;
}

/** An entity with every kind of property that a declaration can name. */
export function author(...declarations: NotifyChangesOptions[]) {
  @Entity('author')
  class Author {
    @PrimaryGeneratedColumn() id!: number;
    @Column('text', { name: 'full_name' }) name!: string;
    @Column('text', { select: false }) password!: string;
    @Column(() => Address) address!: Address;
    @ManyToOne(() => Author) editor!: unknown;
    @VirtualColumn({ query: (alias) => `select count(*) from post where author = ${alias}.id` })
    posts!: number;
  }
  for (const options of declarations) NotifyChanges(options)(Author);
  return Author;
}

/** The first trigger that the entities declare. */
export const firstOf = async (entities: Entities) => (await resolved(entities))[0];
/** The message of the error that the declarations cause. */
export const rejectionOf = (entities: Entities, ...declared: object[]): Promise<string> =>
  resolved(entities, declared as never).then(() => 'nothing was rejected', messageOf);
