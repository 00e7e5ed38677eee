import { PgPubSubError, describeValue, isPgPubSubError } from '../common/errors.js';
import { isJsonObject, type JsonObject } from '../common/json.js';

/** The failed attempts of a listener, as the row remembers them. */
export interface Retry {
  readonly attempts: number;
  /** When the listener is due again: milliseconds of the server's clock. */
  readonly at: number;
}

/** The columns of a claimed row. */
export interface RowFields {
  readonly id: string;
  /** The transaction that locked the row before, even if that was undone; `'0'`: none. */
  readonly lastLocker: string;
  /** JSON text; `null` for none. */
  readonly payload: string | null;
  /** Whether payload and context have to be read by themselves. */
  readonly isLarge: boolean;
  readonly context: JsonObject;
  readonly key: string | null;
  readonly attempts: number;
  /** Seconds since 1970, as PostgreSQL writes them; `Infinity` is possible. */
  readonly createdAt: string;
  readonly availableAt: string;
  readonly processId: number;
  /** The listeners that are done with the row. */
  readonly handledBy: readonly string[];
  /** The listeners that the row is for; `null`: all. */
  readonly listeners: readonly string[] | null;
  readonly retries: ReadonlyMap<string, Retry>;
  /** The number of claims of the row that ended with their process or connection. */
  readonly crashCount: number;
  /** Milliseconds of the server's clock, where `retries` have to be compared with it; else 0. */
  readonly now: number;
  /** For each listener with a filter: whether the row's context contains it. */
  readonly matches: readonly boolean[];
  /** Why the row cannot be handled; `undefined` for a row that can be read. */
  readonly unreadable: PgPubSubError | undefined;
}

type Values = readonly (string | null)[];

/** Stands for a value that was too large to come with its claim. */
const LARGE = '';

const NO_CONTEXT: JsonObject = Object.freeze({});
const NOTHING: readonly never[] = Object.freeze([]);
const NO_RETRIES: ReadonlyMap<string, Retry> = new Map();

/**
 * Reads the values that `rowColumns()` lists. Rows are untrusted: any role that may insert can have written any column.
 * A row that cannot be read says so in `unreadable`, and harms no other.
 */
export function parseRow(values: Values): RowFields {
  const [id, lastLocker, payload, contextJson, key, attempts, createdAt, availableAt, processId] = values;
  const [handledBy, listeners, retries, crashCount, now, ...matches] = values.slice(9);
  const isLarge = payload === LARGE || contextJson === LARGE;
  const context = isLarge ? null : contextJson;
  const fields = {
    id: String(id),
    lastLocker: String(lastLocker),
    payload: isLarge ? null : (payload ?? null),
    isLarge,
    context: NO_CONTEXT,
    key: key ?? null,
    attempts: countOf(attempts),
    createdAt: String(createdAt),
    availableAt: String(availableAt),
    processId: Number(processId),
    handledBy: NOTHING,
    listeners: null,
    retries: NO_RETRIES,
    crashCount: countOf(crashCount),
    now: Number(now ?? 0) * 1_000,
    matches: matches.length === 0 ? NOTHING : matches.map((match) => match === 't'),
    unreadable: undefined,
  };
  // Most rows are ordinary: no context, handled by none, for all listeners, never tried.
  if (!context && !handledBy && !listeners && !retries) return fields;
  try {
    return {
      ...fields,
      context: parseContext(context),
      handledBy: readColumn('handled_by', handledBy, NOTHING, isTexts),
      listeners: readColumn<readonly string[] | null>('listeners', listeners, null, isTexts),
      retries: readRetries(retries),
    };
  } catch (error) {
    return { ...fields, unreadable: isPgPubSubError(error) ? error : unreadable('context', error) };
  }
}

/** Throws for a context that is no JSON object. */
export const parseContext = (json: string | null | undefined): JsonObject =>
  readColumn('context', json, NO_CONTEXT, isJsonObject);

const MAX_COUNT = 2_147_483_647; // an integer of PostgreSQL

/** The last moment that PostgreSQL knows, in milliseconds. */
const MAX_TIME_MS = 9_200_000_000_000_000;

/** A counter that the library adds to: within the range of its column. */
const countOf = (value: string | null | undefined): number =>
  Math.min(Math.max(Number(value ?? 0) || 0, 0), MAX_COUNT - 1);

function readColumn<T>(
  column: string,
  json: string | null | undefined,
  otherwise: T,
  isValid: (value: unknown) => value is T,
): T {
  if (json === null || json === undefined) return otherwise;
  const value: unknown = JSON.parse(json);
  if (!isValid(value)) throw unreadable(column, value);
  return value;
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string');

function readRetries(json: string | null | undefined): ReadonlyMap<string, Retry> {
  const retries = readColumn('retries', json, NO_CONTEXT, isJsonObject);
  if (retries === NO_CONTEXT) return NO_RETRIES;
  return new Map(
    Object.entries(retries).map(([listener, retry]) => {
      if (!isRetry(retry)) throw unreadable('retries', retry);
      return [listener, retry];
    }),
  );
}

const isRetry = (value: unknown): value is Retry & JsonObject =>
  isJsonObject(value) &&
  Number.isInteger(value['attempts']) &&
  Number(value['attempts']) >= 0 &&
  Number(value['attempts']) < MAX_COUNT &&
  typeof value['at'] === 'number' &&
  value['at'] >= 0 &&
  value['at'] <= MAX_TIME_MS;

const unreadable = (column: string, got: unknown) =>
  new PgPubSubError(
    'INVALID_PAYLOAD',
    `expected the column "${column}" as this library writes it, got ${describeValue(got)}. ` +
      'Grant writers insert on (channel, payload, key, context, available_at) only.',
  );
