import type { DataSource, EntityMetadata, ObjectLiteral } from 'typeorm';
import type { DecodedText } from '../channels/entity-source.js';
import { PgPubSubError, messageOf } from '../common/errors.js';
import { isJsonObject, type JsonObject } from '../common/json.js';
import { OPERATIONS, type EntityChange } from '../channels/entity-change.js';
import { splitJsonObject } from './row-json.js';
import type { RowHydrators } from './row.hydrator.js';

const NO_CONTEXT: JsonObject = Object.freeze({});

/** The text of a change, taken apart; rows are still text. */
interface ChangeText {
  readonly operation: EntityChange['operation'];
  readonly schema: string;
  readonly table: string;
  readonly oldRow: string | null;
  readonly newRow: string | null;
  readonly truncated: boolean;
  readonly context: JsonObject;
}

/**
 * Makes changes of entities out of what triggers send. Owned by `EntityChannels`; knows the tables as they were when
 * the application started.
 */
export class ChangeDecoder {
  constructor(
    private readonly dataSource: DataSource,
    private readonly hydrators: RowHydrators,
    private readonly metadataOf: (schema: string, table: string) => EntityMetadata | undefined,
  ) {}

  /** A promise only for rows that were too large, which are loaded. Throws `INVALID_PAYLOAD` for other texts. */
  decode(channel: string, text: string): DecodedText | Promise<DecodedText> {
    const change = parseChange(channel, text);
    const row = (source: string | null) => (source === null ? null : this.hydrate(change, source));
    const old = row(change.oldRow);
    if (change.truncated && change.newRow !== null) return this.loadTruncated(change, old, change.newRow);
    const decoded = describe(change, old, row(change.newRow), this.changedProperties(change));
    return this.hydrators.find(change.schema, change.table)?.hasLoadListeners
      ? this.afterLoad(change, decoded)
      : decoded;
  }

  /** What a repository runs on entities it has loaded: `@AfterLoad()` methods, and subscribers. */
  private async afterLoad(
    { schema, table }: ChangeText,
    decoded: DecodedText & { payload: EntityChange },
  ): Promise<DecodedText> {
    for (const entity of [decoded.payload.old, decoded.payload.new]) {
      if (entity !== null) await this.hydrators.find(schema, table)?.runLoadListeners(entity);
    }
    return decoded;
  }

  private async loadTruncated(
    change: ChangeText,
    old: ObjectLiteral | null,
    keyText: string,
  ): Promise<DecodedText> {
    const metadata = this.metadataOf(change.schema, change.table);
    const key = this.hydrate(change, keyText);
    const where = metadata?.getEntityIdMap(key);
    const loaded =
      metadata && where
        ? await this.dataSource.manager.findOne(metadata.target, { where, loadEagerRelations: false })
        : key;
    return describe(change, old, loaded, []);
  }

  /** A table without an entity has plain objects. */
  private hydrate({ schema, table }: ChangeText, source: string): ObjectLiteral {
    return this.hydrators.find(schema, table)?.hydrate(source) ?? (JSON.parse(source) as ObjectLiteral);
  }

  private changedProperties({ operation, schema, table, oldRow, newRow, truncated }: ChangeText): string[] {
    if (operation !== 'update' || truncated || oldRow === null || newRow === null) return [];
    const before = splitJsonObject(oldRow);
    const after = splitJsonObject(newRow);
    const changed = [...after.keys()].filter((column) => before.get(column) !== after.get(column));
    const metadata = this.metadataOf(schema, table);
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
): DecodedText & { payload: EntityChange } {
  const { operation, schema, table, truncated, context } = change;
  const payload: EntityChange = {
    operation,
    old,
    new: now,
    entity: now ?? old,
    changed,
    table,
    schema,
    truncated,
  };
  return { payload, context };
}

function parseChange(channel: string, text: string): ChangeText {
  try {
    const members = splitJsonObject(text);
    const value = (name: string): unknown => JSON.parse(members.get(name) ?? 'null');
    const row = (name: string) => (members.get(name) === 'null' ? null : (members.get(name) ?? null));
    const operation = OPERATIONS.find((known) => known === value('operation'));
    if (operation === undefined) throw new SyntaxError('no operation');
    const context = value('context');
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
    throw new PgPubSubError(
      'INVALID_PAYLOAD',
      `expected a change of a table on channel "${channel}", which belongs to an entity, got: ${messageOf(cause)}. ` +
        'Send other notifications on a channel of their own.',
      { cause },
    );
  }
}
