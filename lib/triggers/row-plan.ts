import type { DataSource, EntityMetadata } from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';
import type { TableTypes } from './column-types.catalog.js';
import { typeParsersOf, type TypeParsers } from '../postgres/driver.js';
import { createColumnReader, createGeoJsonReader, type ColumnReader } from './column-reader.js';
import { createTextRenderer, type TextRenderer } from './row-text.js';
import { createZoneConverter } from './row-time-zone.js';

/** A class of entities, and the columns its instances have, in the order in which a repository sets them. */
export interface RowPlan {
  readonly metadata: EntityMetadata;
  readonly columns: readonly PlannedColumn[];
}

export interface PlannedColumn {
  /** Among the columns of the table. */
  readonly position: number;
  readonly column: ColumnMetadata;
  readonly read: ColumnReader;
  /** As PostgreSQL takes it. */
  readonly render: TextRenderer;
}

/** Resolves, once, what is the same for all rows of a table. It lives as long as it takes to make the plans. */
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

  /** Nothing for a column that the table does not have. */
  planColumn(column: ColumnMetadata): PlannedColumn | undefined {
    const position = this.positions.get(column.databaseName);
    const type = this.types.columns.get(column.databaseName);
    if (position === undefined || type === undefined) return undefined;
    return {
      position,
      column,
      read: this.spatialTypes.includes(column.type) // the repository decides by the type in the entity
        ? createGeoJsonReader(this.parsers, column.precision || undefined)
        : createColumnReader(type, this.parsers, this.toZone),
      render: createTextRenderer(type, (moment) => moment),
    };
  }
}

/**
 * Virtual columns have no property: keys of relations, discriminators. In join tables nothing but such keys is
 * there, and TypeORM gives each a property.
 */
const isSetByRepository = (column: ColumnMetadata, metadata: EntityMetadata): boolean =>
  (!column.isVirtual || metadata.isJunction) &&
  !column.isVirtualProperty &&
  !metadata.childEntityMetadatas.some(({ target }) => target === column.target);
