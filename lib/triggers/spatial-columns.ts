import type { DataSource, EntityMetadata } from 'typeorm';
import type { CatalogTable } from './trigger.catalog.js';

/** The columns with a type of PostGIS. `row_to_json()` fails for some of their values. */
export interface SpatialColumns {
  /** The schema of PostGIS. */
  readonly schema: string;
  /** Columns that a repository selects as GeoJSON, with their number of digits. */
  readonly geoJson: readonly GeoJsonColumn[];
  /** Other columns, and arrays, which are included as the server's text. */
  readonly text: readonly string[];
}

export interface GeoJsonColumn {
  readonly column: string;
  readonly type: 'geometry' | 'geography';
  readonly digits: number | undefined;
}

/** The spatial columns that TypeORM knows before the table exists. */
export interface MappedSpatialColumns {
  readonly geoJson: readonly GeoJsonColumn[];
  readonly text: readonly string[];
}

/** The schema of PostGIS before it is installed: by default the first of the search path. */
const USUAL_SCHEMA = 'public';

/** Returns the columns that the entity maps to a type of PostGIS. */
export function mappedSpatialColumns(
  dataSource: DataSource,
  { columns }: EntityMetadata,
): MappedSpatialColumns {
  const types: readonly unknown[] = dataSource.driver.spatialTypes;
  const spatial = columns.filter(({ type, isVirtualProperty }) => types.includes(type) && !isVirtualProperty);
  return {
    geoJson: spatial
      .filter(({ isArray }) => !isArray)
      .map(({ databaseName, type, precision }) => ({
        column: databaseName,
        type: type === 'geography' ? 'geography' : 'geometry',
        digits: precision || undefined, // as TypeORM reads it
      })),
    text: spatial.filter(({ isArray }) => isArray).map(({ databaseName }) => databaseName),
  };
}

type FoundSpatialColumns = Pick<CatalogTable, 'geometries' | 'geographies' | 'spatial_arrays'>;

const NONE: FoundSpatialColumns = { geometries: [], geographies: [], spatial_arrays: [] };

/**
 * Returns the spatial columns of a table; undefined when it has none. A column that TypeORM does
 * not map to a type of PostGIS is selected as text. Tables that TypeORM does not know use GeoJSON,
 * the most useful form.
 */
export function spatialColumns(
  mapped: MappedSpatialColumns | undefined,
  { geometries, geographies, spatial_arrays: arrays }: FoundSpatialColumns = NONE,
  schema = USUAL_SCHEMA,
): SpatialColumns | undefined {
  const found: readonly GeoJsonColumn[] = [
    ...geometries.map((column) => ({ column, type: 'geometry', digits: undefined }) as const),
    ...geographies.map((column) => ({ column, type: 'geography', digits: undefined }) as const),
  ];
  const geoJson = (mapped?.geoJson ?? found).map((one) => {
    const type = found.find(({ column }) => column === one.column)?.type ?? one.type;
    return { ...one, type };
  });
  const others = [...(mapped?.text ?? []), ...found.map(({ column }) => column), ...arrays];
  const text = [...new Set(others)].filter((name) => geoJson.every(({ column }) => column !== name));
  return geoJson.length === 0 && text.length === 0 ? undefined : { schema, geoJson, text };
}
