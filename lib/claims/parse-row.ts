import { PgPubSubError, describeValue, isPgPubSubError } from '../common/errors.js';
import { isJsonObject, type JsonObject } from '../common/json.js';

/** The failed attempts of a listener, as the row stores them. */
export interface Retry {
  readonly attempts: number;
  /** The time of the retry, in milliseconds of the server's clock. */
  readonly at: number;
}

export interface RowFields {
  readonly id: string;
  /** The transaction that last locked the row, even if it was rolled back; `'0'`: none. */
  readonly lastLocker: string;
  /** JSON text; `null` for none. */
  readonly payload: string | null;
  /** Whether payload and context have to be read separately. */
  readonly isLarge: boolean;
  readonly context: JsonObject;
  readonly key: string | null;
  readonly attempts: number;
  /** Seconds since 1970, as PostgreSQL writes them; `Infinity` is possible. */
  readonly createdAt: string;
  readonly availableAt: string;
  readonly processId: number;
  /** The listeners that have handled the row or given up. */
  readonly handledBy: readonly string[];
  /** The listeners that the row is for; `null`: all. */
  readonly listeners: readonly string[] | null;
  readonly retries: ReadonlyMap<string, Retry>;
  /** The number of claims of the row that ended with their process or connection. */
  readonly crashCount: number;
  /** The server's clock in milliseconds; 0 without `retries` to compare it with. */
  readonly now: number;
  /** For each listener with a filter: whether the row's context contains it. */
  readonly matches: readonly boolean[];
  /** The reason why the row cannot be handled; `undefined` if it can. */
  readonly unreadable: PgPubSubError | undefined;
}

type Values = readonly (string | null)[];

/** The mark of a value that was too large for its claim. */
const LARGE = '';

const NO_CONTEXT: JsonObject = Object.freeze({});
const NOTHING: readonly never[] = Object.freeze([]);
const NO_RETRIES: ReadonlyMap<string, Retry> = new Map();

/**
 * Reads the values that `rowColumns()` lists. Rows are untrusted: any role that may insert can have
 * written any column. An invalid row has its error in `unreadable`, and does not affect others.
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
  // Most rows have no context, are for all listeners, and were never handled or retried.
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

/** Throws `INVALID_PAYLOAD` for a context that is no JSON object. */
export const parseContext = (json: string | null | undefined): JsonObject =>
  readColumn('context', json, NO_CONTEXT, isJsonObject);

const MAX_COUNT = 2_147_483_647; // the maximum of PostgreSQL's integer

/** The maximum timestamp of PostgreSQL, in milliseconds. */
const MAX_TIME_MS = 9_200_000_000_000_000;

/** Returns a counter that the library adds to, limited to the range of its column. */
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
