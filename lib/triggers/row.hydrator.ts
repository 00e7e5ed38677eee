import type { DataSource, EntityMetadata, EntityTarget, ObjectLiteral } from 'typeorm';
import { quoteIdentifier } from '../common/sql-identifier.js';
import { loadColumnTypes, type TableTypes } from './column-types.catalog.js';
import { forEachMember } from '../common/json-text.js';
import { RowPlanner, type PlannedColumn, type RowPlan } from './row-plan.js';

/**
 * One {@link RowHydrator} per mapped table, as the tables were at the time of `load`. It holds no connection and
 * never ends; after a migration in a running process, load it again to see new columns.
 */
export class RowHydrators {
  private constructor(
    private readonly dataSource: DataSource,
    private readonly byMetadata: ReadonlyMap<EntityMetadata, RowHydrator>,
    private readonly byName: ReadonlyMap<string, RowHydrator>,
  ) {}

  /** Needs an initialised DataSource; sends one statement. */
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

  /** For rows of the table; if several entities are mapped to it, for the one the DataSource lists first. */
  find(schema: string, table: string): RowHydrator | undefined {
    return this.byName.get(nameOf(schema, table));
  }

  /**
   * For rows of the entity's table. With single table inheritance, rows of all its classes: which one it is, the
   * row says.
   */
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
 * Turns the rows of one table, as PostgreSQL's `row_to_json` and `to_jsonb` write them, into entities equal to what
 * the repository returns for `findOneBy`: the text that PostgreSQL would have sent is restored per column, and goes
 * through the same steps of pg and TypeORM. Nothing is loaded, so relations are not there, eager ones included.
 */
export class RowHydrator {
  /** The columns of the table, in its order. */
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
   * The entity of a row. Keys without a column are ignored, and columns without a key leave their property out: the
   * row was written under another version of the table, or carries some columns only. `select: false` columns are
   * set when the row has them.
   *
   * @throws SyntaxError when the text is not a JSON object; whatever a transformer throws
   */
  hydrate(rowText: string): object {
    const sources = this.sourcesOf(rowText);
    const { metadata, columns } = this.planFor(sources);
    const entity = metadata.create(undefined, { fromDeserializer: true }) as ObjectLiteral; // declared any
    for (const planned of columns) {
      const value = valueOf(planned, sources);
      if (value === undefined) continue;
      const { column } = planned;
      column.setEntityValue(entity, this.dataSource.driver.prepareHydratedValue(value, column));
    }
    return entity;
  }

  /**
   * The texts of the row's primary key, by the names of its columns: to compare with, exact where values of JavaScript
   * are not. A Date, for example, has no microseconds. `undefined` when the row does not have all of them.
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

  /** Would a repository run something on what it has loaded: `@AfterLoad()` methods, `afterLoad` of subscribers? */
  get hasLoadListeners(): boolean {
    return (
      [this.root, ...this.children].some(({ metadata }) => metadata.afterLoadListeners.length > 0) ||
      this.dataSource.subscribers.some((subscriber) => subscriber.afterLoad !== undefined)
    );
  }

  /** Runs them on an entity that `hydrate` has returned: they may be asynchronous, and fail. */
  async runLoadListeners(entity: object): Promise<void> {
    const { metadata } =
      this.children.find(({ metadata: { target } }) => target === entity.constructor) ?? this.root;
    const runner = this.dataSource.createQueryRunner(); // what subscribers are given; it connects when used
    try {
      await runner.broadcaster.broadcast('Load', metadata, [entity]);
    } finally {
      await runner.release();
    }
  }

  /**
   * The source texts of the row, by the positions of their columns. Rows have their keys in the order of the table,
   * so that the next one is nearly always the one expected: much faster than a map per row.
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

/** What is `undefined` is not in the row. */
type Sources = readonly (string | undefined)[];

function valueOf({ position, read }: PlannedColumn, sources: Sources): unknown {
  const source = sources[position];
  if (source === undefined) return undefined;
  return source === 'null' ? null : read(source);
}
