import { NotifyChanges, defineChannel } from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** The tables and channels that the processes of the worker application share. */

@Entity()
@NotifyChanges({ on: 'insert', delivery: 'exactly-once' })
export class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') name!: string;
  @Column('text', { nullable: true }) bio!: string | null;
  @Column('text', { nullable: true }) email!: string | null;
}

@Entity()
export class Post {
  @PrimaryGeneratedColumn() id!: number;
  @Column('int') authorId!: number;
  @Column('text') content!: string;
  @Column('text') process!: string;
}

/** A row that a handler writes in the transaction of its claim, without a unique constraint. */
@Entity()
export class Effect {
  /** Also shows the order of the effects: a sequence does not wait for commits. */
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') listener!: string;
  @Column('bigint') notification!: string;
  @Column('jsonb') what!: unknown;
  @Column('text') process!: string;
}

export interface Task {
  readonly n: number;
  readonly act?: 'exit' | 'kill' | 'wait';
  readonly text?: string;
}

export interface Step {
  readonly key: string;
  readonly n: number;
}

/** The channel whose listener follows the instruction in `act`. */
export const Tasks = defineChannel<Task>('tasks', { delivery: 'exactly-once' });
export const Polled = defineChannel<Task>('polled', {
  delivery: 'exactly-once',
  wake: 'poll',
  pollIntervalMs: 50,
});
/** The channel with one listener that always fails and one that never fails. */
export const Pairs = defineChannel<Task>('pairs', {
  delivery: 'exactly-once',
  retry: { maxAttempts: 3, minDelayMs: 20, maxDelayMs: 40 },
});
export const Steps = defineChannel<Step>('steps', {
  delivery: 'exactly-once',
  ordered: true,
  retry: { minDelayMs: 20, maxDelayMs: 40 },
});
/** The channel whose listener writes nothing. */
export const Ticks = defineChannel<Task>('ticks', { delivery: 'exactly-once' });

export const entities = [Author, Post, Effect];
export const channels = [Tasks, Polled, Pairs, Steps, Ticks];
