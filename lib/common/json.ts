import { isDeepStrictEqual } from 'node:util';

export type JsonValue =
  null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** A JSON object, or one that can be written as JSON. */
export type JsonObject = Readonly<Record<string, unknown>>;

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether `value` contains `wanted`: as `@>` of jsonb for objects; the rest must be equal. */
export function contains(value: unknown, wanted: unknown): boolean {
  if (!isJsonObject(wanted) || !isJsonObject(value)) return isDeepStrictEqual(value, wanted);
  return Object.entries(wanted).every(([key, member]) => contains(value[key], member));
}

/**
 * Returns why JSON would lose or change `value`, with the path (`$.items[2].price`), or
 * `undefined`. `JSON.stringify` silently drops functions, and turns NaN into null and a Map into
 * `{}`.
 */
export function findJsonObstacle(
  value: unknown,
  path = '$',
  ancestors: readonly object[] = [],
): string | undefined {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null || value === undefined)
    return undefined;
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `${value} at ${path}`;
  if (typeof value !== 'object') return `a ${typeof value} at ${path}`;
  if (value instanceof Date && Number.isNaN(value.getTime())) return `an invalid Date at ${path}`;
  if ('toJSON' in value && typeof value.toJSON === 'function') return undefined; // serializes itself
  if (ancestors.includes(value)) return `a cycle at ${path}`;
  const chain = [...ancestors, value];
  if (Array.isArray(value)) return firstObstacle(value.entries(), chain, (index) => `${path}[${index}]`);
  if (isOpaque(value)) return `a ${value.constructor.name} at ${path}`;
  return firstObstacle(Object.entries(value), chain, (key) => `${path}.${key}`);
}

function firstObstacle<Key>(
  members: Iterable<[Key, unknown]>,
  ancestors: readonly object[],
  pathOf: (key: Key) => string,
): string | undefined {
  for (const [key, member] of members) {
    if (typeof member === 'string' || typeof member === 'boolean' || member === null) continue; // most are: no path to build
    const obstacle = findJsonObstacle(member, pathOf(key), ancestors);
    if (obstacle !== undefined) return obstacle;
  }
  return undefined;
}

/** Whether JSON writes `{}`: the contents are not own properties (Map, Error, Blob, …). */
const isOpaque = (value: object): boolean => Object.prototype.toString.call(value) !== '[object Object]';
