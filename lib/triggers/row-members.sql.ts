import type { Operation } from '../channels/entity-change.js';
import { quoteIdentifier, quoteLiteral } from '../common/sql-identifier.js';
import { HAS_NEW, HAS_OLD } from './condition.js';
import { DEFAULT_DIGITS } from './geo-json.js';
import type { GeoJsonColumn, SpatialColumns } from './spatial-columns.js';
import type { ResolvedTrigger } from './trigger.resolver.js';

export type Row = 'old' | 'new';

/** The value of a column of a row, as an expression in a trigger function. */
export type ValueOf = (row: Row, column: string) => string;

/** The value in a row trigger, and in queries over the rows of a statement. */
export const valueOfRow: ValueOf = (row, column) => `${row}.${quoteIdentifier(column)}`;

/** PostgreSQL allows 100 arguments, two per column. A query allows more, but is slower. */
const MAX_ARGUMENT_COLUMNS = 50;

/** Returns the JSON of some columns. In a query, expressions are named after their column. */
function objectOf(columns: readonly string[], member: (column: string) => string): string {
  if (columns.length <= MAX_ARGUMENT_COLUMNS)
    return `json_build_object(${columns.map((column) => `${quoteLiteral(column)}, ${member(column)}`).join(', ')})`;
  const named = columns.map((column) => {
    const [value, name] = [member(column), quoteIdentifier(column)];
    return value.endsWith(`.${name}`) ? value : `${value} as ${name}`;
  });
  return `(select row_to_json(columns.*) from (select ${named.join(', ')}) as columns)`;
}

/** Returns the JSON of the included columns. GeoJSON is in variables, see `readGeoJson()`. */
export function includedObject(trigger: ResolvedTrigger, row: Row, valueOf: ValueOf = valueOfRow): string {
  const { columns = [], spatial } = trigger;
  const geoJson = geoJsonOf(trigger);
  return objectOf(columns, (column) => {
    const position = geoJson.findIndex((one) => one.column === column);
    if (position >= 0) return variableOf(row, position);
    return `${valueOf(row, column)}${spatial?.text.includes(column) ? '::text' : ''}`;
  });
}

const geoJsonOf = ({ columns, spatial }: ResolvedTrigger): readonly GeoJsonColumn[] =>
  (spatial?.geoJson ?? []).filter(({ column }) => columns?.includes(column));

export const hasGeoJson = (trigger: ResolvedTrigger): boolean => geoJsonOf(trigger).length > 0;

/** Returns the JSON of the primary key. Values that may have no GeoJSON are texts. */
export const keyObject = (
  { primaryKey, spatial }: ResolvedTrigger,
  row: Row,
  valueOf: ValueOf = valueOfRow,
): string =>
  objectOf(primaryKey, (column) => `${valueOf(row, column)}${isSpatial(spatial, column) ? '::text' : ''}`);

const isSpatial = (spatial: SpatialColumns | undefined, column: string): boolean =>
  spatial !== undefined &&
  (spatial.text.includes(column) || spatial.geoJson.some((one) => one.column === column));

/** Declares the variables of values with GeoJSON. */
export const geoJsonVariables = (trigger: ResolvedTrigger, rows: readonly Row[]): string =>
  rows
    .flatMap((row) => geoJsonOf(trigger).map((_, position) => ` ${variableOf(row, position)} json;`))
    .join('');

const variableOf = (row: Row, position: number): string => `${row}_geojson_${position + 1}`;

/** The default options of `ST_AsGeoJSON()`: 8 names the reference system, except EPSG:4326. */
const DEFAULT_OPTIONS = { geometry: 8, geography: 0 };

/**
 * Reads the GeoJSON of a row as a repository selects it, in one statement per column. A value
 * without GeoJSON (a curve, a coordinate that is not a number, an unknown reference system) becomes
 * the server's text, as does every value when the writer may not use PostGIS: the write never
 * fails. All arguments have their exact types, so that a function of the same name, created by
 * another role in the schema of PostGIS, is not called.
 */
export const readGeoJson = (trigger: ResolvedTrigger, row: Row, valueOf: ValueOf = valueOfRow): string[] =>
  geoJsonOf(trigger).map(({ column, type, digits = DEFAULT_DIGITS }, position) => {
    const [variable, value] = [variableOf(row, position), valueOf(row, column)];
    const postgis = quoteIdentifier(trigger.spatial?.schema ?? '');
    const call = `${postgis}.st_asgeojson(${value}::${postgis}.${type}, ${digits}, ${DEFAULT_OPTIONS[type]})`;
    return `begin ${variable} := ${call}::json; exception when others then ${variable} := to_json(${value}::text); end;`;
  });

/** Returns the rows that at least one of the operations has. */
export const rowsOfAny = (operations: readonly Operation[]): Row[] => [
  ...(operations.some((operation) => HAS_OLD.has(operation)) ? (['old'] as const) : []),
  ...(operations.some((operation) => HAS_NEW.has(operation)) ? (['new'] as const) : []),
];
