import type { DataSource, EntityMetadata, EntityTarget, ObjectLiteral } from 'typeorm';
import type { DecodedText } from '../channels/entity-source.js';
import { PgPubSubError, messageOf } from '../common/errors.js';
import { isJsonObject, type JsonObject } from '../common/json.js';
import { OPERATIONS, type EntityChange } from '../channels/entity-change.js';
import { parseLossless, splitJsonObject } from '../common/json-text.js';
import type { RowHydrator, RowHydrators } from './row.hydrator.js';
import type { ResolvedTrigger } from './trigger.resolver.js';
import { TruncatedRows, isErrorOfValue } from './truncated-rows.js';

const NO_CONTEXT: JsonObject = Object.freeze({});

/** The members of a change; rows are still text. */
interface ChangeText {
  readonly operation: EntityChange['operation'];
  readonly schema: string;
  readonly table: string;
  readonly oldRow: string | null;
  readonly newRow: string | null;
  readonly truncated: boolean;
  readonly context: JsonObject;
  /** The entity whose trigger sent the change; `undefined` for tables without one. */
  readonly target: EntityTarget<ObjectLiteral> | undefined;
}

/** Decodes changes of entities. Owned by `EntityChannels`; knows the tables as of the start. */
export class ChangeDecoder {
  private readonly rows: TruncatedRows;

  /** `declared`: the triggers of the channel. */
  constructor(
    dataSource: DataSource,
    private readonly hydrators: RowHydrators,
    private readonly declared: readonly ResolvedTrigger[],
    private readonly metadataOf: (
      target: EntityTarget<ObjectLiteral> | undefined,
      schema: string,
      table: string,
    ) => EntityMetadata | undefined,
  ) {
    this.rows = new TruncatedRows(dataSource);
  }

  /**
   * Decodes a change; returns a promise only if a truncated row must be loaded. Throws
   * `INVALID_PAYLOAD` for other texts, and for changes that are not declared on the channel.
   */
  decode(channel: string, text: string): DecodedText | Promise<DecodedText> {
    const parsed = parseChange(channel, text);
    const { target } = findDeclared(channel, this.declared, parsed);
    const change = { ...parsed, target: target as EntityTarget<ObjectLiteral> | undefined };
    const row = (source: string | null) => (source === null ? null : this.hydrate(change, source));
    const old = row(change.oldRow);
    if (change.truncated && change.newRow !== null) return this.loadTruncated(channel, change, old);
    const decoded = describe(change, old, row(change.newRow), this.changedProperties(change));
    return this.hydratorOf(change)?.hasLoadListeners ? this.afterLoad(change, decoded) : decoded;
  }

  /** Runs the `@AfterLoad()` methods and subscribers that a repository would run. */
  private async afterLoad(
    change: ChangeText,
    decoded: DecodedText & { payload: EntityChange },
  ): Promise<DecodedText> {
    for (const entity of [decoded.payload.old, decoded.payload.new]) {
      if (entity !== null) await this.hydratorOf(change)?.runLoadListeners(entity);
    }
    return decoded;
  }

  /** Throws `INVALID_PAYLOAD` for a key that the server rejects. */
  private async loadTruncated(
    channel: string,
    change: ChangeText,
    old: ObjectLiteral | null,
  ): Promise<DecodedText> {
    const keyText = change.newRow ?? '{}';
    const metadata = this.metadataOf(change.target, change.schema, change.table);
    const key = this.hydratorOf(change)?.keyOf(keyText);
    const named = this.hydrate(change, keyText);
    if (!metadata || !key) return describe(change, old, named, []);
    const loaded = await this.rows.load(metadata.target, key).catch((error: unknown) => {
      throw isErrorOfValue(error) ? notLoadable(channel, change, error) : error;
    });
    return describe(change, old, loaded, [], loaded ?? old ?? named);
  }

  /** Returns a plain object for a row of a table that TypeORM does not know. */
  private hydrate(change: ChangeText, source: string): ObjectLiteral {
    return this.hydratorOf(change)?.hydrate(source) ?? (parseLossless(source) as ObjectLiteral);
  }

  /** Prefers the decorated entity, because several may be mapped to one table. */
  private hydratorOf({ target, schema, table }: ChangeText): RowHydrator | undefined {
    const own = target === undefined ? undefined : this.hydrators.findFor(target);
    return own ?? this.hydrators.find(schema, table);
  }

  private changedProperties({
    operation,
    target,
    schema,
    table,
    oldRow,
    newRow,
    truncated,
  }: ChangeText): string[] {
    if (operation !== 'update' || truncated || oldRow === null || newRow === null) return [];
    const before = splitJsonObject(oldRow);
    const after = splitJsonObject(newRow);
    const changed = [...after.keys()].filter((column) => before.get(column) !== after.get(column));
    const metadata = this.metadataOf(target, schema, table);
    if (!metadata) return changed;
    const properties = changed.map(
      (column) => metadata.findColumnWithDatabaseName(column)?.propertyPath.split('.')[0],
    );
    return [...new Set(properties.filter((property) => property !== undefined))];
  }
}

function describe(
  change: ChangeText,
  old: ObjectLiteral | null,
  now: ObjectLiteral | null,
  changed: string[],
  entity = now ?? old,
): DecodedText & { payload: EntityChange } {
  const { operation, schema, table, truncated, context } = change;
  const payload: EntityChange = {
    operation,
    old,
    new: now,
    entity,
    changed,
    table,
    schema,
    truncated,
  };
  return { payload, context };
}

/** Throws `INVALID_PAYLOAD` for a text that listeners of the channel would reject. */
export function assertChange(channel: string, text: string, declared: readonly ResolvedTrigger[]): void {
  const change = parseChange(channel, text);
  const { oldRow, newRow } = change;
  findDeclared(channel, declared, change);
  try {
    for (const row of [oldRow, newRow]) if (row !== null) splitJsonObject(row);
  } catch (cause) {
    throw notAChange(channel, cause);
  }
}

/** Throws `INVALID_PAYLOAD` for a change that is not declared: every role may notify. */
function findDeclared(
  channel: string,
  declared: readonly ResolvedTrigger[],
  { operation, schema, table }: Pick<ChangeText, 'operation' | 'schema' | 'table'>,
): ResolvedTrigger {
  const found = declared.find((one) => one.schema === schema && one.table === table);
  if (found?.on.includes(operation)) return found;
  throw notDeclared(channel, `${operation} on "${schema}"."${table}"`, declared);
}

function parseChange(channel: string, text: string): Omit<ChangeText, 'target'> {
  try {
    const outer = splitJsonObject(text);
    const enclosed = outer.get('payload'); // sent by notify() with a context
    const members = enclosed === undefined ? outer : splitJsonObject(enclosed);
    const value = (name: string): unknown => JSON.parse(members.get(name) ?? 'null');
    const row = (name: string) => (members.get(name) === 'null' ? null : (members.get(name) ?? null));
    const operation = OPERATIONS.find((known) => known === value('operation'));
    if (operation === undefined) throw new SyntaxError('no operation on a table');
    const context: unknown = JSON.parse(outer.get('context') ?? 'null');
    return {
      operation,
      schema: String(value('schema')),
      table: String(value('table')),
      oldRow: row('old'),
      newRow: row('new'),
      truncated: value('truncated') === true,
      context: isJsonObject(context) ? context : NO_CONTEXT,
    };
  } catch (cause) {
    throw notAChange(channel, cause);
  }
}

const notDeclared = (channel: string, got: string, declared: readonly ResolvedTrigger[]) => {
  const expected = declared.map(({ on, schema, table }) => `${on.join(', ')} on "${schema}"."${table}"`);
  return new PgPubSubError(
    'INVALID_PAYLOAD',
    `expected a change that is declared on channel "${channel}" (${expected.join('; ')}), got ${got}. ` +
      'Check which role sends it: every role that may connect may notify.',
  );
};

const notLoadable = (channel: string, { schema, table }: ChangeText, cause: unknown) =>
  new PgPubSubError(
    'INVALID_PAYLOAD',
    `expected a change on channel "${channel}" with the key of a row of "${schema}"."${table}" that can be loaded, got: ${messageOf(cause)}. ` +
      'Load the row with a repository. If the row has no such key, check which role sends it: every role that may connect may notify.',
    { cause },
  );

const notAChange = (channel: string, cause: unknown) =>
  new PgPubSubError(
    'INVALID_PAYLOAD',
    `expected a change of a table on channel "${channel}", which belongs to an entity, got: ${messageOf(cause)}. ` +
      'Send other notifications on a channel of their own.',
    { cause },
  );
