import * as v from 'valibot';
import { PgPubSubError, type PgPubSubErrorCode } from './errors.js';

/** Who is being checked, for the sentence of the error. */
export interface Checked {
  readonly code: PgPubSubErrorCode;
  /** For example `PgPubSubModule.forRoot()`. */
  readonly what: string;
}

/**
 * Returns what `schema` makes of `value`, with defaults filled in, frozen. Throws a {@link PgPubSubError} that
 * names the first wrong property, what was expected there and what was given.
 */
export function parseShape<const Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  { code, what }: Checked,
): Readonly<v.InferOutput<Schema>> {
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return Object.freeze(result.output);
  throw new PgPubSubError(code, sentence(result.issues[0], what, schema));
}

function sentence(issue: v.BaseIssue<unknown>, what: string, schema: v.GenericSchema): string {
  const path = v.getDotPath(issue);
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    const known = path?.includes('.') === false ? `: ${knownOptions(schema).join(', ')}` : '';
    return `expected only known options for ${what}${known}, got "${path}". Correct its name or remove it.`;
  }
  const subject = path === null ? what : `the option "${path}" of ${what}`;
  // The building blocks below carry their own wording; valibot's own messages all start with "Invalid".
  const expected = issue.message.startsWith('Invalid') ? issue.expected : issue.message;
  return `expected ${subject} to be ${expected}, got ${issue.received}. Correct it, or leave it out.`;
}

const knownOptions = (schema: v.GenericSchema): string[] =>
  'entries' in schema && typeof schema.entries === 'object' ? Object.keys(schema.entries ?? {}) : [];

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

export const wholeNumber = (least: number) => {
  const message = `a whole number from ${least} on`;
  return v.pipe(v.number(message), v.safeInteger(message), v.minValue(least, message));
};

/** A function; its signature is known to TypeScript only. */
export const callback = <T>() => v.custom<T>((value) => typeof value === 'function', 'a function');

/** An object whose properties are not ours to check. */
export const anyObject = v.custom<Record<string, unknown>>(
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  'an object',
);

export const nonEmptyString = v.pipe(
  v.string('a string that is not empty'),
  v.minLength(1, 'a string that is not empty'),
);
