import type { QueryRunner } from 'typeorm';
import * as v from 'valibot';
import { assertChannelName } from '../channels/channel-name.js';
import { DELIVERIES, type Delivery } from '../channels/channel.definition.js';
import { OPERATIONS, type Operation } from '../channels/entity-change.js';
import { PgPubSubError } from '../common/errors.js';
import { group, nonEmptyString, parseShape } from '../common/parse.js';
import { commentOf } from '../schema/owner.js';
import { readStorage } from '../schema/storage.catalog.js';
import { inOrder } from './notify-changes.decorator.js';
import { conditionStep } from './schema-diff.js';
import { assertColumns, assertSeesAll, type DeclaredTrigger } from './table.check.js';
import { readCatalogTables, readServerVersion } from './trigger.catalog.js';
import { triggerName } from './trigger.literals.js';
import { defaultChannel } from './trigger.resolver.js';
import {
  commentOnFunction,
  commentOnTrigger,
  createFunction,
  createTrigger,
  dropFunctionAndTriggers,
  variantsOf,
} from './trigger.sql.js';
import { executeStep, ownerOf, storageOf } from './with-pg-pubsub.js';

/** A trigger in the words of the database: a migration must not change when the entity does. */
export interface NotifyTriggerLiterals {
  /** @defaultValue `'public'` */
  schema?: string;
  /** The table whose changes are notified. */
  table: string;
  /** Without it the name of the table, with its schema when that is not the default schema of the DataSource. */
  channel?: string;
  /** @defaultValue `['insert', 'update', 'delete']` */
  on?: readonly Operation[];
  /** @defaultValue `'row'` */
  level?: 'row' | 'statement';
  /** The columns that are carried; without it all but `exclude`: what an entity does not select is carried, too. */
  columns?: readonly string[];
  /** Columns that are not carried. */
  exclude?: readonly string[];
  /** Updates count only when one of these columns changed, by value. */
  of?: readonly string[];
  /** An SQL condition over OLD and NEW, as of {@link NotifyChanges}. */
  when?: string;
  /** What is left of a row that is too large for a notification; without it the primary key of the table. */
  primaryKey?: readonly string[];
  /**
   * `'exactly-once'`: notifications are stored, in the tables of {@link createNotificationStorage}.
   *
   * @defaultValue `'broadcast'`
   */
  delivery?: Delivery;
  /**
   * Exactly-once: the primary key becomes the key of the notification.
   *
   * @defaultValue `false`
   */
  ordered?: boolean;
  /**
   * Exactly-once: `'poll'` keeps NOTIFY out of the writing transaction.
   *
   * @defaultValue `'notify'`
   */
  wake?: 'notify' | 'poll';
  /** Exactly-once: where the tables are; without it, where the DataSource that the migration runs on has them. */
  storageSchema?: string;
  /** As `owner` of {@link withPgPubSub}; without it, that of the DataSource the migration runs on. */
  owner?: string;
}

/**
 * Creates the trigger of a handwritten migration. With the same declaration on the entity, a later
 * `migration:generate` finds no difference. Throws `INVALID_TRIGGER`, before anything is changed, for options it does not
 * know, and for columns that the table does not have.
 *
 * no deadline: a part of a migration or of the start, whose locks and duration are the application's
 */
export async function createNotifyTrigger(
  runner: QueryRunner,
  literals: NotifyTriggerLiterals,
): Promise<void> {
  const trigger = await resolveLiterals(runner, literals);
  const { schema, table, when } = trigger;
  if (trigger.delivery === 'exactly-once') await assertStorage(runner, trigger);
  const comment = commentOf(literals.owner ?? ownerOf(runner.manager.connection));
  if (when !== undefined) await executeStep(runner, conditionStep({ ...trigger, when }));
  await runner.query(createFunction(trigger, await readServerVersion(runner)));
  await runner.query(commentOnFunction(schema, triggerName(trigger), comment));
  for (const variant of variantsOf(trigger)) {
    await runner.query(createTrigger(trigger, variant));
    await runner.query(commentOnTrigger(schema, table, variant.name, comment));
  }
}

/**
 * Drops what {@link createNotifyTrigger} created: the function, and with it its triggers.
 *
 * no deadline: a part of a migration or of the start, whose locks and duration are the application's
 */
export async function dropNotifyTrigger(
  runner: QueryRunner,
  literals: Pick<NotifyTriggerLiterals, 'schema' | 'table' | 'channel'>,
): Promise<void> {
  const what = 'dropNotifyTrigger()';
  const { schema = 'public', table } = literals;
  const { channel = defaultChannel(what, runner.manager.connection, schema, table) } = literals;
  await runner.query(dropFunctionAndTriggers(schema, triggerName({ table, channel })));
}

const operations = v.array(v.picklist(OPERATIONS, `operations (${OPERATIONS.join(', ')})`));
const columnNames = v.array(nonEmptyString, 'a list of columns');

const literalsShape = group({
  schema: v.optional(nonEmptyString, 'public'),
  table: nonEmptyString,
  channel: v.optional(v.string()),
  on: v.optional(v.pipe(operations, v.minLength(1, 'at least one operation')), [
    'insert',
    'update',
    'delete',
  ]),
  level: v.optional(v.picklist(['row', 'statement']), 'row'),
  columns: v.optional(columnNames),
  exclude: v.optional(columnNames, []),
  of: v.optional(columnNames, []),
  when: v.optional(nonEmptyString),
  primaryKey: v.optional(columnNames),
  delivery: v.optional(v.picklist(DELIVERIES), 'broadcast'),
  ordered: v.optional(v.boolean(), false),
  wake: v.optional(v.picklist(['notify', 'poll']), 'notify'),
  storageSchema: v.optional(nonEmptyString),
  owner: v.optional(nonEmptyString),
});

async function resolveLiterals(
  runner: QueryRunner,
  literals: NotifyTriggerLiterals,
): Promise<DeclaredTrigger> {
  const what = 'createNotifyTrigger()';
  const parsed = parseShape(literalsShape, literals, { code: 'INVALID_TRIGGER', what });
  const { schema, table, level, columns, exclude, of, when } = parsed;
  const { channel = defaultChannel(what, runner.manager.connection, schema, table) } = parsed;
  assertChannelName(channel);
  const found = (await readCatalogTables(runner, [{ schema, table }]))({ schema, table });
  if (found === undefined) throw notThere(what, `"${schema}"."${table}"`);
  const primaryKey = parsed.primaryKey ?? found.primary_key;
  const on = inOrder(parsed.on);
  const place = { what, schema, table, channel };
  const trigger = {
    ...place,
    on,
    level,
    delivery: parsed.delivery,
    ordered: parsed.ordered,
    wake: parsed.wake,
    storageSchema: parsed.storageSchema ?? storageOf(runner.manager.connection).schema,
    columns,
    exclude,
    of,
    when,
    primaryKey,
  } as const;
  assertColumns(trigger, found);
  assertSeesAll(trigger, found);
  return trigger;
}

/** Without its tables, the trigger would break every write. */
async function assertStorage(
  runner: QueryRunner,
  { what, table, ordered, ...trigger }: DeclaredTrigger,
): Promise<void> {
  if (ordered && trigger.primaryKey.length === 0) throw notOrdered(what, table);
  const { storageSchema } = trigger;
  const storage = { ...storageOf(runner.manager.connection), schema: storageSchema };
  const { tables } = await readStorage(runner, storage);
  if (tables.some(({ schema }) => schema === storageSchema)) return;
  throw new PgPubSubError(
    'INVALID_TRIGGER',
    `${what}: expected the schema "${storageSchema}" to have the storage of notifications for the trigger of ` +
      `"${table}", got none. Call createNotificationStorage() first, or say where it is by "storageSchema".`,
  );
}

const notOrdered = (what: string, table: string) =>
  new PgPubSubError(
    'INVALID_TRIGGER',
    `${what}: expected "${table}" to have a primary key, because the channel is ordered, got none. Name it by "primaryKey".`,
  );

const notThere = (what: string, got: string) =>
  new PgPubSubError(
    'INVALID_TRIGGER',
    `${what}: expected a table that exists, got ${got}. Names are those of the database, and exact.`,
  );
