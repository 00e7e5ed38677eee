import { NotifyChanges, defineChannel } from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** What the processes of the worker application share: its tables, and its channels. */

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

/** What a handler leaves in its claim's transaction. No constraint keeps it from being there twice. */
@Entity()
export class Effect {
  /** Also the order of the effects: sequences know no transactions. */
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

/** Its listener does as it is told. */
export const Tasks = defineChannel<Task>('tasks', { delivery: 'exactly-once' });
export const Polled = defineChannel<Task>('polled', {
  delivery: 'exactly-once',
  wake: 'poll',
  pollIntervalMs: 50,
});
/** Has a listener that always fails, and one that never does. */
export const Pairs = defineChannel<Task>('pairs', {
  delivery: 'exactly-once',
  retry: { maxAttempts: 3, minDelayMs: 20, maxDelayMs: 40 },
});
export const Steps = defineChannel<Step>('steps', {
  delivery: 'exactly-once',
  ordered: true,
  retry: { minDelayMs: 20, maxDelayMs: 40 },
});
/** Its listener writes nothing. */
export const Ticks = defineChannel<Task>('ticks', { delivery: 'exactly-once' });

export const entities = [Author, Post, Effect];
export const channels = [Tasks, Polled, Pairs, Steps, Ticks];
