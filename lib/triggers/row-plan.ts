import type { DataSource, EntityMetadata } from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';
import type { TableTypes } from './column-types.catalog.js';
import { typeParsersOf, type TypeParsers } from '../postgres/driver.js';
import { createColumnReader, createGeoJsonReader, type ColumnReader } from './column-reader.js';
import { createTextRenderer, type TextRenderer } from './row-text.js';
import { createZoneConverter } from './row-time-zone.js';

/** An entity class, and the columns of its instances in the order of a repository. */
export interface RowPlan {
  readonly metadata: EntityMetadata;
  readonly columns: readonly PlannedColumn[];
}

export interface PlannedColumn {
  /** The position among the table's columns. */
  readonly position: number;
  readonly column: ColumnMetadata;
  readonly read: ColumnReader;
  /** Returns the text that PostgreSQL accepts as input. */
  readonly render: TextRenderer;
}

/** Resolves once what is equal for all rows of a table. Lives until all plans are made. */
export class RowPlanner {
  private readonly positions: ReadonlyMap<string, number>;
  private readonly parsers: TypeParsers;
  private readonly toZone: (text: string) => string;
  private readonly spatialTypes: readonly unknown[];

  constructor(
    dataSource: DataSource,
    private readonly types: TableTypes,
  ) {
    this.spatialTypes = dataSource.driver.spatialTypes;
    this.positions = new Map(Array.from(types.columns.keys(), (name, position) => [name, position]));
    this.parsers = typeParsersOf(dataSource);
    this.toZone = createZoneConverter(types.timeZone);
  }

  plan(metadata: EntityMetadata): RowPlan {
    const own = metadata.columns.filter((column) => isSetByRepository(column, metadata));
    return {
      metadata,
      columns: own.map((column) => this.planColumn(column)).filter((planned) => planned !== undefined),
    };
  }

  /** Returns `undefined` for a column that the table does not have. */
  planColumn(column: ColumnMetadata): PlannedColumn | undefined {
    const position = this.positions.get(column.databaseName);
    const type = this.types.columns.get(column.databaseName);
    if (position === undefined || type === undefined) return undefined;
    return {
      position,
      column,
      read: this.spatialTypes.includes(column.type) // the repository uses the entity's type
        ? createGeoJsonReader(this.parsers, column.precision || undefined)
        : createColumnReader(type, this.parsers, this.toZone),
      render: createTextRenderer(type, (moment) => moment),
    };
  }
}

/** Whether the column has a property. Virtual ones (keys, discriminators) only in join tables. */
const isSetByRepository = (column: ColumnMetadata, metadata: EntityMetadata): boolean =>
  (!column.isVirtual || metadata.isJunction) &&
  !column.isVirtualProperty &&
  !metadata.childEntityMetadatas.some(({ target }) => target === column.target);
