import type { DataSource, EntityMetadata, EntityTarget, ObjectLiteral } from 'typeorm';
import { MAX_CHANNEL_BYTES, assertChannelName } from '../channels/channel-name.js';
import { isChannelDefinition } from '../channels/channel-brand.js';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { Delivery } from '../channels/channel.options.js';
import { PgPubSubError } from '../common/errors.js';
import { parseOptions } from '../common/parse.js';
import { defaultSchemaOf } from '../postgres/driver.js';
import { DOLLAR_TAG } from '../common/sql-identifier.js';
import type { Operation } from '../channels/entity-change.js';
import {
  NO_COLUMNS_LEFT,
  assertEffective,
  assertSameChannel,
  assertSatisfiable,
  invalid,
} from './declaration.check.js';
import { triggerName } from './trigger.names.js';
import { declarationsOf, inOrder } from './notify-changes.decorator.js';
import { NOTIFY_CHANGES_OPTIONS, type NotifyChangesOptions } from './notify-changes.options.js';
import {
  mappedSpatialColumns,
  spatialColumns,
  type MappedSpatialColumns,
  type SpatialColumns,
} from './spatial-columns.js';
import { listed } from './trigger.completion.js';

/** A trigger for an EntitySchema, or for a table without an entity class, such as a join table. */
export type TriggerDeclaration = NotifyChangesOptions &
  (
    | { readonly entity: EntityTarget<ObjectLiteral> }
    | {
        readonly table: string;
        readonly schema?: string;
        /** Columns kept of a row too large for a notification; default: none. */
        readonly primaryKey?: readonly string[];
      }
  );

/** A declaration in database names, resolved with its DataSource's metadata, or handwritten. */
export interface ResolvedTrigger {
  /** The name of the declaration in errors, for example `@NotifyChanges() on Author`. */
  readonly what: string;
  readonly schema: string;
  readonly table: string;
  readonly channel: string;
  readonly on: readonly Operation[];
  readonly level: 'row' | 'statement';
  readonly delivery: Delivery;
  /** The included columns; undefined: all that are not in `exclude`. */
  readonly columns: readonly string[] | undefined;
  /** Columns that are not included, used while the table's columns are unknown. */
  readonly exclude: readonly string[];
  /** The columns that the entity maps to PostGIS types; undefined without an entity. */
  readonly mappedSpatial: MappedSpatialColumns | undefined;
  /** The columns with a type of PostGIS; undefined: none, or not known yet. */
  readonly spatial: SpatialColumns | undefined;
  /** Columns of which an update must change one; empty: any. */
  readonly of: readonly string[];
  readonly when: string | undefined;
  /** The rows of a child with single table inheritance: those with one of these values. */
  readonly discriminator: { readonly column: string; readonly values: readonly string[] } | undefined;
  /** Exactly-once: whether the primary key is the notification's key. */
  readonly ordered: boolean;
  /** Exactly-once: whether storing sends a hint that wakes workers. */
  readonly wake: 'notify' | 'poll';
  /** The schema of the storage, with its trigger functions. */
  readonly storageSchema: string;
  /** The columns kept of a row too large for a notification. */
  readonly primaryKey: readonly string[];
  /** The decorated class or the given entity; `undefined` for tables without one. */
  readonly target: unknown;
  /** The definition given as `channel`, if it was one. */
  readonly definition: ChannelDefinition | undefined;
  readonly options: NotifyChangesOptions;
}

/** The part of a trigger that its declaration determines. */
type Declared = Omit<ResolvedTrigger, 'storageSchema'>;

/**
 * Returns the triggers of a DataSource: decorators of its entities, and the list of
 * `withPgPubSub()`. Throws `INVALID_TRIGGER`, with the name of the entity, for an invalid
 * declaration.
 */
export function resolveTriggers(
  dataSource: DataSource,
  declared: readonly TriggerDeclaration[],
  storageSchema: string,
): ResolvedTrigger[] {
  const triggers = [
    ...dataSource.entityMetadatas.flatMap((metadata) => decorated(dataSource, metadata)),
    ...declared.map((declaration) => fromList(dataSource, declaration)),
  ];
  const seen = new Set<string>();
  for (const trigger of triggers) {
    const key = JSON.stringify([trigger.schema, trigger.table, triggerName(trigger.channel, 'insert')]);
    if (seen.has(key)) throw twice(trigger);
    seen.add(key);
  }
  return triggers.map((trigger) => ({ ...trigger, storageSchema }));
}

/**
 * Returns the declarations of the class and its parents, except parents that are entities of the
 * same table. `inheritanceTree` cannot be used as it is: with single table inheritance, a parent's
 * contains its children.
 */
function decorated(dataSource: DataSource, metadata: EntityMetadata): Declared[] {
  const { target, tablePath } = metadata;
  const parents = dataSource.entityMetadatas.filter(
    (other) => other !== metadata && other.tablePath === tablePath && isKindOf(target, other.target),
  );
  return metadata.inheritanceTree
    .filter((ancestor) => isKindOf(target, ancestor))
    .filter((ancestor) => !parents.some((parent) => isKindOf(parent.target, ancestor)))
    .flatMap((ancestor) => declarationsOf(ancestor))
    .map((options) => ofEntity(dataSource, metadata, options));
}

const isKindOf = (target: unknown, ancestor: unknown): boolean =>
  typeof target === 'function' &&
  typeof ancestor === 'function' &&
  (target === ancestor || target.prototype instanceof ancestor);

function fromList(dataSource: DataSource, declaration: TriggerDeclaration): Declared {
  if ('entity' in declaration) {
    const { entity, ...options } = declaration;
    return ofEntity(dataSource, dataSource.getMetadata(entity), options);
  }
  const { table, schema = defaultSchemaOf(dataSource), primaryKey, ...options } = declaration;
  const metadata = findMetadata(dataSource, schema, table);
  if (metadata) return ofEntity(dataSource, metadata, options);
  return resolve(`the table "${table}"`, options, {
    schema,
    table,
    defaultChannel: (what) => defaultChannel(what, dataSource, schema, table),
    primaryKey: primaryKey ?? [],
    tableColumns: undefined,
    hidden: [],
    mappedSpatial: undefined,
    columnOf: (name) => name, // checked against the catalog later
    target: undefined,
    discriminator: undefined,
  });
}

export const findMetadata = (
  dataSource: DataSource,
  schema: string,
  table: string,
): EntityMetadata | undefined =>
  dataSource.entityMetadatas.find(
    (candidate) =>
      candidate.tableName === table && (candidate.schema ?? defaultSchemaOf(dataSource)) === schema,
  );

function ofEntity(dataSource: DataSource, metadata: EntityMetadata, options: NotifyChangesOptions): Declared {
  const what = `@NotifyChanges() on ${metadata.name}`;
  if (metadata.tableType === 'view')
    throw invalid(
      what,
      'a table',
      'a view: triggers of views see no changes. Declare it on the tables beneath',
    );
  const schema = metadata.schema ?? defaultSchemaOf(dataSource);
  return resolve(what, options, {
    schema,
    table: metadata.tableName,
    defaultChannel: () => defaultChannel(what, dataSource, schema, metadata.tableName),
    primaryKey: metadata.primaryColumns.map(({ databaseName }) => databaseName),
    tableColumns: metadata.columns
      .filter(({ isVirtualProperty }) => !isVirtualProperty)
      .map(({ databaseName }) => databaseName),
    hidden: metadata.columns.filter(({ isSelect }) => !isSelect).map(({ databaseName }) => databaseName),
    mappedSpatial: mappedSpatialColumns(dataSource, metadata),
    columnOf: (property) => columnOf(metadata, property, what),
    target: metadata.target,
    discriminator: discriminatorOf(metadata),
  });
}

interface Place {
  readonly schema: string;
  readonly table: string;
  readonly defaultChannel: (what: string) => string;
  readonly primaryKey: readonly string[];
  /** Undefined for a table that TypeORM does not know. */
  readonly tableColumns: readonly string[] | undefined;
  readonly hidden: readonly string[];
  readonly mappedSpatial: MappedSpatialColumns | undefined;
  readonly columnOf: (property: string) => string | readonly string[];
  readonly target: unknown;
  readonly discriminator: ResolvedTrigger['discriminator'];
}

function resolve(what: string, options: NotifyChangesOptions, place: Place): Declared {
  const parsed = parseOptions(NOTIFY_CHANGES_OPTIONS, options, { code: 'INVALID_TRIGGER', what });
  const definition = isChannelDefinition(parsed.channel) ? parsed.channel : undefined;
  const named = definition?.name ?? (typeof parsed.channel === 'string' ? parsed.channel : undefined);
  if (named !== undefined) assertChannelName(named);
  const channel = named ?? place.defaultChannel(what);
  assertSatisfiable(what, parsed);
  if (parsed.when?.includes(DOLLAR_TAG))
    throw invalid(what, `"when" without ${DOLLAR_TAG}`, 'a condition that contains it');
  if (definition) assertSameChannel(what, options, definition);
  else assertEffective(what, parsed);
  const { delivery, ordered, wake } = definition ?? parsed;
  if (ordered && place.primaryKey.length === 0)
    throw invalid(what, 'a primary key, because the channel is ordered', 'none');
  const exclude = [...new Set([...place.hidden, ...parsed.exclude.flatMap(place.columnOf)])];
  const spatial = spatialColumns(place.mappedSpatial, undefined);
  const columns =
    parsed.columns?.flatMap(place.columnOf) ?? listed(exclude, place.tableColumns, spatial !== undefined);
  if (columns?.length === 0) throw invalid(what, ...NO_COLUMNS_LEFT);
  return {
    what,
    schema: place.schema,
    table: place.table,
    channel,
    on: inOrder(parsed.on),
    level: parsed.level,
    delivery,
    ordered,
    wake,
    columns,
    exclude,
    mappedSpatial: place.mappedSpatial,
    spatial,
    of: parsed.of.flatMap(place.columnOf),
    when: parsed.when,
    discriminator: place.discriminator,
    primaryKey: place.primaryKey,
    target: place.target,
    definition,
    options,
  };
}

/**
 * Returns the channel of a declaration without one. Includes the schema, because several schemas
 * may have a table of that name. Throws `INVALID_TRIGGER` when the name is too long for a channel.
 */
export function defaultChannel(what: string, dataSource: DataSource, schema: string, table: string): string {
  const name = schema === defaultSchemaOf(dataSource) ? table : `${schema}.${table}`;
  if (Buffer.byteLength(name) <= MAX_CHANNEL_BYTES) return name;
  const expected = `a channel of its own for "${name}", whose name has more than ${MAX_CHANNEL_BYTES} bytes`;
  throw invalid(what, expected, 'none: give it "channel"');
}

/** Returns the columns of a property; an embedded has several, a relation has its foreign keys. */
function columnOf(metadata: EntityMetadata, property: string, what: string): string[] {
  const columns = metadata.findColumnsWithPropertyPath(property);
  if (columns.some(({ isVirtualProperty }) => isVirtualProperty))
    throw invalid(
      what,
      'properties with a column in the table',
      `"${property}", which is computed by a query`,
    );
  const embedded = metadata.findEmbeddedWithPropertyPath(property);
  const found =
    columns.length > 0 ? columns : (embedded?.columnsFromTree.filter(({ isSelect }) => isSelect) ?? []);
  if (found.length > 0) return found.map(({ databaseName }) => databaseName);
  const known = metadata.columns.map(({ propertyPath }) => propertyPath).join(', ');
  throw invalid(what, `properties of the entity (${known})`, JSON.stringify(property));
}

/** Returns the discriminator values of an entity with single table inheritance. */
function discriminatorOf(metadata: EntityMetadata): ResolvedTrigger['discriminator'] {
  if (metadata.tableType !== 'entity-child' || metadata.discriminatorColumn === undefined) return undefined;
  const values = [metadata, ...metadata.childEntityMetadatas].map(({ discriminatorValue }) =>
    String(discriminatorValue),
  );
  return { column: metadata.discriminatorColumn.databaseName, values };
}

const twice = ({ table, channel }: Declared) =>
  new PgPubSubError(
    'INVALID_TRIGGER',
    `expected one declaration for the table "${table}" and the channel "${channel}", got two. ` +
      'Give one of them a channel of its own, or combine them with several operations in "on".',
  );
