import type { TypeParsers } from '../postgres/driver.js';
import type { ColumnType } from './column-types.catalog.js';
import { createTextRenderer, type TextRenderer } from './row-text.js';

/** From what a value looks like in JSON to what pg returns for it. Never called for SQL's null. */
export type ColumnReader = (source: string) => unknown;

const JSON_OID = 114;

export function createColumnReader(
  type: ColumnType,
  parsers: TypeParsers,
  toZone: TextRenderer,
): ColumnReader {
  if (isSpatial(type)) return parsers.getTypeParser(JSON_OID, 'text'); // TypeORM selects ST_AsGeoJSON(…)::json
  const parse = parsers.getTypeParser(type.oid, 'text');
  const render = createTextRenderer(type, keepsZone(type, parse) ? toZone : (text) => text);
  return (source) => parse(render(source));
}

const isSpatial = ({ name }: ColumnType): boolean => name === 'geometry' || name === 'geography';

/** Is the time zone still to be seen in what the parser makes of a moment? In a Date it is not. */
function keepsZone({ name, element }: ColumnType, parse: (text: string) => unknown): boolean {
  if ((element?.name ?? name) !== 'timestamptz') return true;
  const moment = '2000-01-01 00:00:00+00';
  const parsed = parse(element === null ? moment : `{"${moment}"}`);
  return !((Array.isArray(parsed) ? parsed[0] : parsed) instanceof Date);
}
