import * as v from 'valibot';
import { PgPubSubError, describeValue, type PgPubSubErrorCode } from './errors.js';

/** Who is being checked, for the sentence of the error. */
export interface Checked {
  readonly code: PgPubSubErrorCode;
  /** For example `PgPubSubModule.forRoot()`. */
  readonly what: string;
}

/** Of our own: an application that uses valibot, too, may have set a language for it. */
const LANGUAGE = 'nestjs-pgpubsub';

/**
 * Returns what `schema` makes of `value`, with defaults filled in, frozen with its groups. Throws a
 * {@link PgPubSubError} that names the first wrong property, what was expected there and what was given.
 */
export function parseShape<const Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  { code, what }: Checked,
): Readonly<v.InferOutput<Schema>> {
  const result = v.safeParse(schema, value, { abortEarly: true, lang: LANGUAGE });
  if (!result.success) throw new PgPubSubError(code, sentence(result.issues[0], what, schema));
  return Object.freeze(result.output);
}

function sentence(issue: v.BaseIssue<unknown>, what: string, schema: v.GenericSchema): string {
  const path = v.getDotPath(issue);
  const isKey = issue.path?.at(-1)?.origin === 'key';
  if (isKey && issue.expected === 'never') {
    const known = path?.includes('.') === false ? `: ${knownOptions(schema).join(', ')}` : '';
    return `expected only known options for ${what}${known}, got "${path}". Correct its name or remove it.`;
  }
  if (isKey) return `expected the option "${path}" of ${what} to be given, got nothing. Add it.`;
  const subject = path === null ? what : `the option "${path}" of ${what}`;
  // The building blocks below carry their own wording; valibot's own messages all start with "Invalid".
  const expected = issue.message.startsWith('Invalid') ? issue.expected : issue.message;
  const got = issue.type === 'check' ? JSON.stringify(issue.input) : describeValue(issue.input);
  return `expected ${subject} to be ${expected}, got ${got}. Correct it, or leave it out.`;
}

/** Of a group: the second step of its pipe has them. */
const knownOptions = (schema: v.GenericSchema): string[] =>
  'pipe' in schema && Array.isArray(schema.pipe)
    ? Object.keys((schema.pipe[1] as { entries?: object }).entries ?? {})
    : [];

/** A group of options: an object, not a list, with no other properties than these; frozen. */
export const group = <const Entries extends v.ObjectEntries>(entries: Entries) => {
  return v.pipe(
    anyObject,
    v.strictObject(entries),
    v.readonly(),
    v.transform((value) => Object.freeze(value)),
  );
};

const isRecord = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The longest delay a timer of Node can wait: more would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;

/** A duration that a timer can wait. */
export const milliseconds = (least = 0) => {
  const message = `a whole number of milliseconds from ${least} to ${MAX_TIMER_MS}`;
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(least, message),
    v.maxValue(MAX_TIMER_MS, message),
  );
};

/** A limit in time; `false` for none. */
export const timeLimit = (least: number) => {
  const message = `a whole number of milliseconds from ${least} to ${MAX_TIMER_MS}, or false`;
  return v.union(
    [v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(MAX_TIMER_MS)), v.literal(false)],
    message,
  );
};

export const wholeNumber = (least: number) => {
  const message = `a whole number from ${least} on`;
  return v.pipe(v.number(message), v.safeInteger(message), v.minValue(least, message));
};

/** A function; its signature is known to TypeScript only. */
export const callback = <T>() => v.custom<T>((value) => typeof value === 'function', 'a function');

/** An object whose properties are not ours to check. */
export const anyObject = v.custom<Record<string, unknown>>((value) => isRecord(value), 'an object');

export const nonEmptyString = v.custom<string>(
  (value) => typeof value === 'string' && value !== '',
  'a string that is not empty',
);

/** The bounds of pauses that grow, with their defaults. */
export const pauses = (defaults: { readonly minDelayMs: number; readonly maxDelayMs: number }) => ({
  minDelayMs: v.optional(milliseconds(1), defaults.minDelayMs),
  maxDelayMs: v.optional(milliseconds(1), defaults.maxDelayMs),
});

/** To be added to a group with {@link pauses}. */
export const pausesGrow = <T extends { readonly minDelayMs?: number; readonly maxDelayMs?: number }>() =>
  v.check<T, string>(
    ({ minDelayMs = 0, maxDelayMs = Infinity }) => minDelayMs <= maxDelayMs,
    'an object whose "minDelayMs" is at most its "maxDelayMs"',
  );
