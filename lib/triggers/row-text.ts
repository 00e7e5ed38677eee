import type { ColumnType } from './column-types.catalog.js';
import { readJsonString, splitJsonArray, splitJsonObject } from '../common/json-text.js';

/** Converts the JSON source of a value to the text of PostgreSQL's output function. */
export type TextRenderer = (source: string) => string;

/**
 * Creates a function that returns the text PostgreSQL would have sent for a value, as input for
 * pg's parsers. Never called for SQL's null. `toZone` converts moments to the time zone of the
 * reader.
 */
export function createTextRenderer(type: ColumnType, toZone: TextRenderer): TextRenderer {
  if (type.element === null) return scalarRenderer(type.name, toZone);
  const { name, delimiter } = type.element;
  const renderElement = scalarRenderer(name, toZone);
  const hasArraysInside = !isJson(name); // an array within an array of json is a value
  const renderArray = (source: string): string => {
    const elements = splitJsonArray(source).map((element) => {
      if (element === 'null') return 'NULL';
      if (hasArraysInside && element.startsWith('[')) return renderArray(element);
      return quoteElement(renderElement(element), delimiter);
    });
    return `{${elements.join(delimiter)}}`;
  };
  return (source) => (source.startsWith('"') ? readJsonString(source) : renderArray(source)); // cast to text in the trigger
}

/** Selects by name, because types of extensions have no fixed number. */
function scalarRenderer(typeName: string, toZone: TextRenderer): TextRenderer {
  if (isJson(typeName)) return (source) => source;
  switch (typeName) {
    case 'timestamp':
      return (source) => withSpace(unquoted(source));
    case 'timestamptz':
      return (source) => toZone(withSpace(withShortOffset(unquoted(source))));
    case 'tstzrange':
    case 'tstzmultirange':
      return (source) => toZone(readJsonString(source));
    case 'hstore':
      return renderHstore;
    default:
      return renderScalar;
  }
}

const isJson = (typeName: string): boolean => typeName === 'json' || typeName === 'jsonb';

function renderScalar(source: string): string {
  if (source.startsWith('"')) return readJsonString(source);
  if (source === 'true') return 't';
  if (source === 'false') return 'f';
  if (source.startsWith('{')) return source; // a composite type stays JSON; TypeORM does not map it
  return copied(source); // a number, with all its digits
}

/** Copies a number: for a slice of 13 or more characters, V8 keeps the whole row text alive. */
const copied = (number: string): string => (number.length < 13 ? number : readJsonString(`"${number}"`));

/** Timestamps in JSON are `2024-01-01T00:00:00+05:00`; the text is `2024-01-01 00:00:00+05`. */
const withSpace = (timestamp: string): string => timestamp.replace('T', ' ');
const unquoted = (source: string): string => source.slice(1, -1); // contains no escapes

function withShortOffset(moment: string): string {
  if (moment.endsWith(' BC')) return `${withShortOffset(moment.slice(0, -3))} BC`;
  const sign = moment.at(-6);
  return (sign === '+' || sign === '-') && moment.endsWith(':00') ? moment.slice(0, -3) : moment;
}

/** An hstore is cast to an object of strings and nulls. */
const renderHstore: TextRenderer = (source) =>
  Array.from(splitJsonObject(source), ([key, value]) => {
    const text = value === 'null' ? 'NULL' : quote(readJsonString(value));
    return `${quote(key)}=>${text}`;
  }).join(', ');

const quote = (text: string): string => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;

/** Applies the rule of `array_out`. The delimiter is a comma, except for boxes. */
function quoteElement(text: string, delimiter: string): string {
  const isPlain = PLAIN_ELEMENT.test(text) && !text.includes(delimiter) && text.toUpperCase() !== 'NULL';
  return isPlain ? text : quote(text);
}

const PLAIN_ELEMENT = /^[^"\\{} \t\n\r\v\f]+$/;
