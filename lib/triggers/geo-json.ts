import { splitJsonObject } from '../common/json-text.js';

/** The default number of digits after the decimal point in `ST_AsGeoJSON()`. */
export const DEFAULT_DIGITS = 9;

/** `ST_AsGeoJSON()` names the reference system of a geometry, except this one. */
const UNNAMED_SYSTEM = 'EPSG:4326';

/**
 * Converts the GeoJSON that `row_to_json()` writes for a geometry to the one of
 * `ST_AsGeoJSON(geometry, digits)`: `row_to_json()` casts to json, which names every reference
 * system and writes 15 digits. Text of `ST_AsGeoJSON(geometry, digits)` keeps its values.
 *
 * Rounding twice can differ in the last digit: when digits 10 to 15 are exactly half a unit only
 * because they were rounded.
 */
export function shortenGeoJson(text: string, digits = DEFAULT_DIGITS): string {
  return withoutDefaultSystem(text).replaceAll(
    DECIMAL_NUMBER,
    (number, sign: string, whole: string, fraction: string) =>
      fraction.length > digits ? roundHalfEven(sign, whole, fraction, digits) : number,
  );
}

/** A number without its exponent: PostGIS rounds the part in front of the exponent. */
const DECIMAL_NUMBER = /(-?)(\d+)\.(\d+)/g;

function withoutDefaultSystem(text: string): string {
  if (!text.includes(`"${UNNAMED_SYSTEM}"`)) return text;
  const members = [...splitJsonObject(text)].filter(([name]) => name !== 'crs');
  return `{${members.map(([name, source]) => `"${name}":${source}`).join(',')}}`;
}

/** Rounds the written digits, as PostGIS does; a `number` would have others. */
function roundHalfEven(sign: string, whole: string, fraction: string, digits: number): string {
  const kept = BigInt(whole + fraction.slice(0, digits));
  const half = `5${'0'.repeat(fraction.length - digits - 1)}`;
  const rest = fraction.slice(digits);
  const isUp = rest > half || (rest === half && kept % 2n === 1n);
  const rounded = String(isUp ? kept + 1n : kept).padStart(digits + 1, '0');
  const decimals = rounded.slice(rounded.length - digits).replace(/0+$/, '');
  const integer = rounded.slice(0, rounded.length - digits);
  const number = decimals === '' ? integer : `${integer}.${decimals}`;
  return number === '0' ? number : sign + number;
}
