import type { JsonObject } from '../common/json.js';

/** What is remembered of a listener that has failed. */
export interface Retry {
  readonly attempts: number;
  /** When it is due again: milliseconds of the server's clock. */
  readonly at: number;
}

/** A row of a claim. */
export interface StoredRow {
  readonly id: string;
  /** The transaction that locked it before, even if that was undone; `'0'`: none. */
  readonly lastLocker: string;
  /** JSON text; `null` for none. */
  readonly payload: string | null;
  /** Its payload has to be read by itself. */
  readonly isLarge: boolean;
  readonly context: JsonObject;
  readonly key: string | null;
  readonly attempts: number;
  /** Seconds since 1970. */
  readonly createdAt: string;
  readonly availableAt: string;
  readonly processId: number;
  readonly handledBy: readonly string[];
  readonly listeners: readonly string[] | null;
  readonly retries: Readonly<Record<string, Retry>>;
  readonly deaths: number;
  /** Milliseconds of the server's clock, where `retries` are to be compared with it. */
  readonly now: number;
  /** For each listener with a filter: is this its row? */
  readonly matches: readonly boolean[];
}

const NO_CONTEXT: JsonObject = Object.freeze({});
const NOTHING: readonly never[] = Object.freeze([]);
const NO_RETRIES = Object.freeze({});

/** Of an ordered channel: is another process handling the row's key? Then the last value says so. */
export const isHeldElsewhere = (values: readonly (string | null)[]): boolean => values.at(-1) === 'f';

/** The values as `columns()` of claim.sql.ts lists them. Most are null in most rows. */
export function parseRow(values: readonly (string | null)[]): StoredRow {
  const [id, lastLocker, payload, isLarge, context, key, attempts, createdAt, availableAt, processId] =
    values;
  const [handledBy, listeners, retries, deaths, now, ...matches] = values.slice(10);
  return {
    id: String(id),
    lastLocker: String(lastLocker),
    payload: payload ?? null,
    isLarge: isLarge === 't',
    context: parsed(context, NO_CONTEXT),
    key: key ?? null,
    attempts: Number(attempts),
    createdAt: String(createdAt),
    availableAt: String(availableAt),
    processId: Number(processId),
    handledBy: parsed(handledBy, NOTHING),
    listeners: parsed<readonly string[] | null>(listeners, null),
    retries: parsed(retries, NO_RETRIES),
    deaths: Number(deaths),
    now: Number(now ?? 0) * 1_000,
    matches: matches.length === 0 ? NOTHING : matches.map((match) => match === 't'),
  };
}

/** Written by this library only, and by SQL as JSON. */
const parsed = <T>(json: string | null | undefined, otherwise: T): T =>
  json === null || json === undefined ? otherwise : (JSON.parse(json) as T);
