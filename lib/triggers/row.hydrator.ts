import type { DataSource, EntityMetadata, EntityTarget, ObjectLiteral } from 'typeorm';
import { quoteIdentifier } from '../common/sql-identifier.js';
import { loadColumnTypes, type TableTypes } from './column-types.catalog.js';
import { forEachMember } from '../common/json-text.js';
import { RowPlanner, type PlannedColumn, type RowPlan } from './row-plan.js';

/**
 * One {@link RowHydrator} per mapped table, as the tables were at `load()`. Holds no connection and
 * never ends; after a migration in a running process, load it again to see new columns.
 */
export class RowHydrators {
  private constructor(
    private readonly dataSource: DataSource,
    private readonly byMetadata: ReadonlyMap<EntityMetadata, RowHydrator>,
    private readonly byName: ReadonlyMap<string, RowHydrator>,
  ) {}

  /** Sends one statement. The DataSource must be initialized. */
  static async load(dataSource: DataSource): Promise<RowHydrators> {
    const metadatas = dataSource.entityMetadatas.filter(hasTableOfItsOwn);
    const byMetadata = new Map<EntityMetadata, RowHydrator>();
    const byName = new Map<string, RowHydrator>();
    for (const [metadata, types] of await loadColumnTypes(dataSource, metadatas)) {
      const hydrator = new RowHydrator(dataSource, metadata, types);
      const name = nameOf(types.schema, types.table);
      byMetadata.set(metadata, hydrator);
      if (!byName.has(name)) byName.set(name, hydrator);
    }
    return new RowHydrators(dataSource, byMetadata, byName);
  }

  /** Finds the hydrator of a table; the first one, if several entities are mapped to it. */
  find(schema: string, table: string): RowHydrator | undefined {
    return this.byName.get(nameOf(schema, table));
  }

  /** Finds an entity's hydrator. With single table inheritance, the row determines the class. */
  findFor(target: EntityTarget<ObjectLiteral>): RowHydrator | undefined {
    if (!this.dataSource.hasMetadata(target)) return undefined;
    const metadata = this.dataSource.getMetadata(target);
    return this.byMetadata.get(hasTableOfItsOwn(metadata) ? metadata : metadata.parentEntityMetadata);
  }
}

const hasTableOfItsOwn = ({ tableType }: EntityMetadata): boolean =>
  tableType !== 'view' && tableType !== 'entity-child';

const nameOf = (schema: string, table: string): string =>
  `${quoteIdentifier(schema)}.${quoteIdentifier(table)}`;

/**
 * Converts rows of one table, as `row_to_json` and `to_jsonb` write them, into entities equal to
 * what the repository returns for `findOneBy`. The text that PostgreSQL would have sent is restored
 * per column, and passes the same steps of pg and TypeORM. Nothing is loaded, so that relations are
 * missing, including eager ones.
 */
export class RowHydrator {
  private readonly names: readonly string[];
  private readonly positions: ReadonlyMap<string, number>;
  private readonly root: RowPlan;
  private readonly children: readonly RowPlan[];
  private readonly discriminator: PlannedColumn | undefined;
  private readonly primaryKey: readonly (PlannedColumn | undefined)[];

  constructor(
    private readonly dataSource: DataSource,
    metadata: EntityMetadata,
    types: TableTypes,
  ) {
    this.names = [...types.columns.keys()];
    this.positions = new Map(this.names.map((name, position) => [name, position]));
    const planner = new RowPlanner(dataSource, types);
    const { discriminatorColumn, childEntityMetadatas, primaryColumns } = metadata;
    this.root = planner.plan(metadata);
    this.discriminator = discriminatorColumn && planner.planColumn(discriminatorColumn);
    this.primaryKey = primaryColumns.map((column) => planner.planColumn(column));
    this.children = this.discriminator ? childEntityMetadatas.map((child) => planner.plan(child)) : [];
  }

  /**
   * Returns the entity of a row. Keys without a column are ignored, and columns without a key leave
   * their property out: the row may come from another version of the table, or have some columns
   * only. `select: false` columns are set if the row has them.
   *
   * @throws SyntaxError when the text is not a JSON object; and any error of a transformer
   */
  hydrate(rowText: string): object {
    const sources = this.sourcesOf(rowText);
    const { metadata, columns } = this.planFor(sources);
    const entity = metadata.create(undefined, { fromDeserializer: true }) as ObjectLiteral; // TypeORM declares any
    for (const planned of columns) {
      const value = valueOf(planned, sources);
      if (value === undefined) continue;
      const { column } = planned;
      column.setEntityValue(entity, this.dataSource.driver.prepareHydratedValue(value, column));
    }
    return entity;
  }

  /**
   * Returns the texts of the row's primary key by column name, for exact comparisons: a Date, for
   * example, has no microseconds. `undefined` when the row lacks one of them.
   */
  keyOf(rowText: string): ReadonlyMap<string, string> | undefined {
    const sources = this.sourcesOf(rowText);
    const key = new Map<string, string>();
    for (const planned of this.primaryKey) {
      const source = planned && sources[planned.position];
      if (!planned || source === undefined || source === 'null') return undefined;
      key.set(planned.column.databaseName, planned.render(source));
    }
    return key.size > 0 ? key : undefined;
  }

  /** Whether a repository would run `@AfterLoad()` methods, or `afterLoad` of subscribers. */
  get hasLoadListeners(): boolean {
    return (
      [this.root, ...this.children].some(({ metadata }) => metadata.afterLoadListeners.length > 0) ||
      this.dataSource.subscribers.some((subscriber) => subscriber.afterLoad !== undefined)
    );
  }

  /** Runs the load listeners on an entity that `hydrate` returned; they may fail. */
  async runLoadListeners(entity: object): Promise<void> {
    const { metadata } =
      this.children.find(({ metadata: { target } }) => target === entity.constructor) ?? this.root;
    const runner = this.dataSource.createQueryRunner(); // for subscribers; connects when used
    try {
      await runner.broadcaster.broadcast('Load', metadata, [entity]);
    } finally {
      await runner.release();
    }
  }

  /**
   * Returns the row's source texts by column position. Rows have their keys in the order of the
   * table, so that the expected key is nearly always next: much faster than a map per row.
   */
  private sourcesOf(rowText: string): Sources {
    const sources: (string | undefined)[] = [];
    let expected = 0;
    forEachMember(rowText, (key, source) => {
      const position = this.names[expected] === key ? expected : this.positions.get(key);
      if (position === undefined) return;
      sources[position] = source;
      expected = position + 1;
    });
    return sources;
  }

  private planFor(sources: Sources): RowPlan {
    if (this.discriminator === undefined) return this.root;
    const value = valueOf(this.discriminator, sources);
    return this.children.find(({ metadata }) => metadata.discriminatorValue === value) ?? this.root;
  }
}

/** The source texts; `undefined` for a column that the row does not have. */
type Sources = readonly (string | undefined)[];

function valueOf({ position, read }: PlannedColumn, sources: Sources): unknown {
  const source = sources[position];
  if (source === undefined) return undefined;
  return source === 'null' ? null : read(source);
}
