import type { QueryRunner } from 'typeorm';
import { assertChannelName } from '../channels/channel-name.js';
import { OPERATIONS } from '../channels/entity-change.js';
import { PgPubSubError } from '../common/errors.js';
import { parseOptions } from '../common/parse.js';
import { createSteps, readStorage } from '../storage/state.js';
import type { Step } from '../common/step.js';
import { assertEffective, assertSatisfiable } from './declaration.check.js';
import { Database } from './database.js';
import { executeStep } from './execute-steps.js';
import { generatedFunctions } from './generated-function.sql.js';
import { inOrder } from './notify-changes.decorator.js';
import { LITERAL_OPTIONS, type NotifyTriggerLiterals } from './trigger-literals.js';
import { createFunctionSteps, createTriggerSteps } from './schema-diff.js';
import { mappedSpatialColumns } from './spatial-columns.js';
import { assertColumns, assertComputed, assertSeesAll } from './table.check.js';
import { findServer, readCatalog, readCatalogTables } from './trigger.catalog.js';
import { conditionFunctionName, functionName, triggerName } from './trigger.names.js';
import { completed } from './trigger.completion.js';
import { defaultChannel, findMetadata, type ResolvedTrigger } from './trigger.resolver.js';
import { dropFunction, dropTrigger, operationTriggers } from './trigger.sql.js';

/**
 * Creates the triggers of a handwritten migration. If the entity has the same declaration, a later
 * `migration:generate` finds no difference. A broadcast creates the storage, whose functions its
 * triggers call, if it does not exist. Throws `INVALID_TRIGGER`, before any change, for unknown
 * options and for columns that the table does not have.
 *
 * no deadline: a part of a migration or of the start, whose limits are the application's
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
 * Drops what {@link createNotifyTrigger} created, except the storage. Throws `INVALID_TRIGGER` when
 * there is nothing to drop.
 *
 * no deadline: a part of a migration or of the start, whose limits are the application's
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

async function resolveLiterals(
  runner: QueryRunner,
  literals: NotifyTriggerLiterals,
): Promise<{ trigger: ResolvedTrigger; serverVersion: number }> {
  const what = 'createNotifyTrigger()';
  const parsed = parseOptions(LITERAL_OPTIONS, literals, { code: 'INVALID_TRIGGER', what });
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
    mappedSpatial: mapped && mappedSpatialColumns(database.dataSource, mapped),
    spatial: undefined,
    discriminator: undefined,
    storageSchema: parsed.storageSchema ?? database.storage.schema,
    primaryKey: parsed.primaryKey ?? found.primary_key,
    target: undefined,
    definition: undefined,
    options: {},
  };
  assertSatisfiable(what, parsed);
  assertEffective(what, parsed);
  assertColumns(trigger, found);
  assertSeesAll(trigger, found);
  assertComputed(trigger, found);
  if (trigger.ordered && trigger.primaryKey.length === 0) throw notOrdered(what, table);
  const server = await findServer(runner);
  return { trigger: completed(trigger, found, server), serverVersion: server.version };
}

/** Throws for an exactly-once trigger without a storage, whose place must be chosen. */
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
      `"${table}", got none. Call createNotificationStorage() first, or set "storageSchema".`,
  );
}

const notOrdered = (what: string, table: string) =>
  new PgPubSubError(
    'INVALID_TRIGGER',
    `${what}: expected "${table}" to have a primary key, because the channel is ordered, got none. Name its columns in "primaryKey".`,
  );

const notThere = (what: string, got: string) =>
  new PgPubSubError(
    'INVALID_TRIGGER',
    `${what}: expected a table that exists, got ${got}. Use the exact names of the database.`,
  );
