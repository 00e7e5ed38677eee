import type { TypeParsers } from '../postgres/driver.js';
import type { ColumnType } from './column-types.catalog.js';
import { shortenGeoJson } from './geo-json.js';
import { readJsonString } from '../common/json-text.js';
import { createTextRenderer, type TextRenderer } from './row-text.js';

/** Converts the JSON source of a value to what pg returns. Never called for SQL's null. */
export type ColumnReader = (source: string) => unknown;

const JSON_OID = 114;

export function createColumnReader(
  type: ColumnType,
  parsers: TypeParsers,
  toZone: TextRenderer,
): ColumnReader {
  const parse = parsers.getTypeParser(type.oid, 'text');
  const render = createTextRenderer(type, keepsZone(type, parse) ? toZone : (text) => text);
  return (source) => parse(render(source));
}

/**
 * Creates a reader for a column that the repository selects as
 * `ST_AsGeoJSON(column, digits)::json`. A value without GeoJSON, such as a curve, is a string: the
 * server's text, in hexadecimal digits. The repository fails to load such a row.
 */
export function createGeoJsonReader(parsers: TypeParsers, digits: number | undefined): ColumnReader {
  const parse = parsers.getTypeParser(JSON_OID, 'text');
  return (source) =>
    source.startsWith('"') ? readJsonString(source) : parse(shortenGeoJson(source, digits));
}

/** Whether the parser keeps the time zone of a moment; a Date does not. */
function keepsZone({ name, element }: ColumnType, parse: (text: string) => unknown): boolean {
  if ((element?.name ?? name) !== 'timestamptz') return true;
  const moment = '2000-01-01 00:00:00+00';
  const parsed = parse(element === null ? moment : `{"${moment}"}`);
  return !((Array.isArray(parsed) ? parsed[0] : parsed) instanceof Date);
}
