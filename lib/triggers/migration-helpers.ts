import type { QueryRunner } from 'typeorm';
import { assertChannelName } from '../channels/channel-name.js';
import type { Operation } from '../channels/entity-change.js';
import { inOrder } from './notify-changes.decorator.js';
import { commentOf } from './schema-diff.js';
import { triggerName, type TriggerLiterals } from './trigger.literals.js';
import {
  checkCondition,
  commentOnFunction,
  commentOnTrigger,
  createFunction,
  createTrigger,
  dropFunctionAndTriggers,
  variantsOf,
} from './trigger.sql.js';
import { ownerOf } from './with-pg-pubsub.js';

/** A trigger in the words of the database: a migration must not change when the entity does. */
export interface NotifyTriggerLiterals {
  /** @defaultValue `'public'` */
  schema?: string;
  table: string;
  /** Without it the name of the table. */
  channel?: string;
  /** @defaultValue `['insert', 'update', 'delete']` */
  on?: readonly Operation[];
  /** @defaultValue `'row'` */
  level?: 'row' | 'statement';
  /** The columns that are carried; without it all but `exclude`. */
  columns?: readonly string[];
  exclude?: readonly string[];
  of?: readonly string[];
  when?: string;
  /** What is left of a row that is too large for a notification. */
  primaryKey?: readonly string[];
  /** As `owner` of {@link withPgPubSub}; without it, that of the DataSource the migration runs on. */
  owner?: string;
}

/**
 * Creates the trigger of a handwritten migration. With the same declaration on the entity, a later
 * `migration:generate` finds no difference.
 */
export async function createNotifyTrigger(
  runner: QueryRunner,
  literals: NotifyTriggerLiterals,
): Promise<void> {
  const trigger = resolveLiterals(literals);
  const { schema, table, when } = trigger;
  const comment = commentOf(literals.owner ?? ownerOf(runner.manager.connection));
  if (when !== undefined) await runner.query(checkCondition({ ...trigger, when }));
  await runner.query(createFunction(trigger));
  await runner.query(commentOnFunction(schema, triggerName(trigger), comment));
  for (const variant of variantsOf(trigger)) {
    await runner.query(createTrigger(trigger, variant));
    await runner.query(commentOnTrigger(schema, table, variant.name, comment));
  }
}

/** Drops what {@link createNotifyTrigger} created: the function, and with it its triggers. */
export async function dropNotifyTrigger(
  runner: QueryRunner,
  literals: Pick<NotifyTriggerLiterals, 'schema' | 'table' | 'channel'>,
): Promise<void> {
  const { schema, ...trigger } = resolveLiterals(literals);
  await runner.query(dropFunctionAndTriggers(schema, triggerName(trigger)));
}

function resolveLiterals({ table, ...literals }: NotifyTriggerLiterals): TriggerLiterals {
  const channel = literals.channel ?? table;
  assertChannelName(channel);
  return {
    schema: literals.schema ?? 'public',
    table,
    channel,
    on: inOrder(literals.on ?? ['insert', 'update', 'delete']),
    level: literals.level ?? 'row',
    delivery: 'broadcast',
    columns: literals.columns,
    exclude: literals.exclude ?? [],
    of: literals.of ?? [],
    when: literals.when,
    primaryKey: literals.primaryKey ?? [],
  };
}
