import type { QueryRunner } from 'typeorm';
import * as v from 'valibot';
import { assertChannelName } from '../channels/channel-name.js';
import { DELIVERIES, type Delivery } from '../channels/channel.definition.js';
import { OPERATIONS, type Operation } from '../channels/entity-change.js';
import { PgPubSubError } from '../common/errors.js';
import { group, nonEmptyString, parseShape } from '../common/parse.js';
import { createSteps, readStorage } from '../storage/state.js';
import type { Step } from '../common/step.js';
import { assertSatisfiable } from './declaration.check.js';
import { Database } from './database.js';
import { executeStep } from './execute-steps.js';
import { generatedFunctions } from './generated-function.sql.js';
import { inOrder } from './notify-changes.decorator.js';
import { createFunctionSteps, createTriggerSteps } from './schema-diff.js';
import { mappedSpatialColumns } from './spatial-columns.js';
import { assertColumns, assertComputed, assertSeesAll } from './table.check.js';
import { findServer, readCatalog, readCatalogTables } from './trigger.catalog.js';
import { conditionFunctionName, functionName, triggerName } from './trigger.names.js';
import { completed } from './trigger.completion.js';
import { defaultChannel, findMetadata, type ResolvedTrigger } from './trigger.resolver.js';
import { dropFunction, dropTrigger, operationTriggers } from './trigger.sql.js';

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
  /** The columns that are left of a row too large for a notification. Without them, those of the table's primary key. */
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
 * Creates the triggers of a handwritten migration. With the same declaration on the entity, a later `migration:generate` finds no
 * difference. A broadcast creates the storage, with the functions that triggers call, where there is none. Throws
 * `INVALID_TRIGGER`, before anything is changed, for options it does not know, and for columns that the table does not have.
 *
 * no deadline: a part of a migration or of the start, whose locks and duration are the application's
 */
export async function createNotifyTrigger(
  runner: QueryRunner,
  literals: NotifyTriggerLiterals,
): Promise<void> {
  const { trigger, serverVersion } = await resolveLiterals(runner, literals);
  const owner = literals.owner ?? Database.of(runner.manager.connection).owner;
  const steps = [
    ...(await storageSteps(runner, trigger, owner)),
    ...generatedFunctions(trigger, serverVersion).flatMap((one) =>
      createFunctionSteps(trigger, one, true, owner),
    ),
    ...operationTriggers(trigger, owner).flatMap((one) => createTriggerSteps(trigger, one)),
  ];
  for (const step of steps) await executeStep(runner, step);
}

/**
 * Drops what {@link createNotifyTrigger} created, but for the storage. Throws `INVALID_TRIGGER` when there is nothing.
 *
 * no deadline: a part of a migration or of the start, whose locks and duration are the application's
 */
export async function dropNotifyTrigger(
  runner: QueryRunner,
  literals: Pick<NotifyTriggerLiterals, 'schema' | 'table' | 'channel'>,
): Promise<void> {
  const what = 'dropNotifyTrigger()';
  const { schema = 'public', table } = literals;
  const database = Database.of(runner.manager.connection);
  const { channel = defaultChannel(what, database.dataSource, schema, table) } = literals;
  const triggers = OPERATIONS.map((operation) => triggerName(channel, operation));
  const functions = [functionName(table, channel), conditionFunctionName(table, channel)];
  const found = await readCatalog(runner, [...triggers, ...functions], database.storage);
  const ours = found.triggers.filter(
    (one) => one.schema === schema && one.table === table && triggers.includes(one.name),
  );
  if (ours.length === 0)
    throw notThere(what, `no trigger of "${schema}"."${table}" for the channel "${channel}"`);
  for (const { name } of ours) await runner.query(dropTrigger(schema, table, name));
  for (const one of found.functions)
    if (one.schema === schema && functions.includes(one.name)) await runner.query(dropFunction(one.identity));
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
): Promise<{ trigger: ResolvedTrigger; serverVersion: number }> {
  const what = 'createNotifyTrigger()';
  const parsed = parseShape(literalsShape, literals, { code: 'INVALID_TRIGGER', what });
  const database = Database.of(runner.manager.connection);
  const { schema, table } = parsed;
  const { channel = defaultChannel(what, database.dataSource, schema, table) } = parsed;
  assertChannelName(channel);
  const found = (await readCatalogTables(runner, [{ schema, table }]))({ schema, table });
  if (found === undefined) throw notThere(what, `"${schema}"."${table}"`);
  const mapped = findMetadata(database.dataSource, schema, table);
  const trigger: ResolvedTrigger = {
    ...parsed,
    what,
    channel,
    on: inOrder(parsed.on),
    columns: parsed.columns,
    mappedSpatial: mapped && mappedSpatialColumns(database.dataSource, mapped),
    spatial: undefined,
    when: parsed.when,
    discriminator: undefined,
    storageSchema: parsed.storageSchema ?? database.storage.schema,
    primaryKey: parsed.primaryKey ?? found.primary_key,
    target: undefined,
    definition: undefined,
    options: {},
  };
  assertSatisfiable(what, { ...parsed, when: parsed.when, columns: parsed.columns });
  assertColumns(trigger, found);
  assertSeesAll(trigger, found);
  assertComputed(trigger, found);
  if (trigger.ordered && trigger.primaryKey.length === 0) throw notOrdered(what, table);
  const server = await findServer(runner);
  return { trigger: completed(trigger, found, server), serverVersion: server.version };
}

/** Throws for a trigger that stores while there is nowhere to store: that takes a decision. */
async function storageSteps(
  runner: QueryRunner,
  trigger: ResolvedTrigger,
  owner: string,
): Promise<readonly Step[]> {
  const { what, table, storageSchema, delivery } = trigger;
  const storage = { ...Database.of(runner.manager.connection).storage, schema: storageSchema };
  const state = await readStorage(runner, storage);
  if (state.exists) return [];
  if (delivery === 'broadcast') return createSteps(state.place, owner);
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
