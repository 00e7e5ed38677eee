import { isDeepStrictEqual } from 'node:util';
import * as v from 'valibot';
import { PgPubSubError, describeValue, type PgPubSubErrorCode } from './errors.js';

/**
 * An option: the schema of the value that may be given, with its default, and of the value that the
 * code reads. The comment above an option documents it, in editors and in `docs/options.md`.
 */
export type Option<Input, Output = Input> = v.GenericSchema<Input, Output>;

/** Definitions of options by name: the one source of their types, checks, defaults and docs. */
export type OptionDefinitions = Readonly<Record<string, v.GenericSchema>>;

/** The object in which an application gives these options. */
export type GivenOptions<Definitions> = {
  -readonly [
    Name in keyof Definitions as undefined extends Input<Definitions[Name]> ? Name : never
  ]?: Exclude<Input<Definitions[Name]>, undefined>;
} & {
  -readonly [Name in keyof Definitions as undefined extends Input<Definitions[Name]> ? never : Name]: Input<
    Definitions[Name]
  >;
};

/** These options after the check: each is present, and without a default may be undefined. */
export type CheckedOptions<Definitions> = {
  readonly [Name in keyof Definitions]: Definitions[Name] extends v.GenericSchema
    ? v.InferOutput<Definitions[Name]>
    : never;
};

type Input<Definition> = Definition extends v.GenericSchema ? v.InferInput<Definition> : never;

/** The subject of a check, for its error message. */
export interface Checked {
  readonly code: PgPubSubErrorCode;
  /** For example `PgPubSubModule.forRoot()`. */
  readonly what: string;
  /** Former names of options, each with its current name. */
  readonly renamed?: Readonly<Record<string, string>>;
}

/** The language of messages: the application may have set another one for its own valibot. */
const LANGUAGE = 'nestjs-pgpubsub';

/**
 * Returns the output of `schema` for `value`, with defaults, frozen with its groups. Throws a
 * {@link PgPubSubError} that names the first wrong property, the expected and the given value.
 */
export function parseShape<const Schema extends v.GenericSchema>(
  schema: Schema,
  value: unknown,
  checked: Checked,
): Readonly<v.InferOutput<Schema>> {
  const result = v.safeParse(schema, value, { abortEarly: true, lang: LANGUAGE });
  if (!result.success)
    throw new PgPubSubError(checked.code, sentence(result.issues[0], checked, knownOptions(schema)));
  return Object.freeze(result.output);
}

/** Returns every option: as given, by default, or undefined. Throws as {@link parseShape} does. */
export function parseOptions<const Definitions extends OptionDefinitions>(
  definitions: Definitions,
  given: unknown,
  checked: Checked,
): CheckedOptions<Definitions> {
  const names = Object.keys(definitions).map((name) => [name, undefined]);
  const parsed = parseShape(group(definitions), given, checked);
  return Object.freeze({ ...Object.fromEntries(names), ...parsed }) as CheckedOptions<Definitions>; // has each name
}

/** Returns the first of these options whose value is given and not its default. */
export function findChanged<Definitions extends OptionDefinitions>(
  definitions: Definitions,
  checked: Partial<CheckedOptions<Definitions>>,
): string | undefined {
  const defaults: Readonly<Record<string, unknown>> = v.parse(group(definitions), {});
  const values: Readonly<Record<string, unknown>> = checked;
  return Object.keys(definitions).find(
    (name) => values[name] !== undefined && !isDeepStrictEqual(values[name], defaults[name]),
  );
}

function sentence(
  issue: v.BaseIssue<unknown>,
  { what, renamed }: Checked,
  options: readonly string[],
): string {
  const path = v.getDotPath(issue);
  const isKey = issue.path?.at(-1)?.origin === 'key';
  if (isKey && issue.expected === 'never') {
    const name = renamed && Object.hasOwn(renamed, path ?? '') ? renamed[path ?? ''] : undefined;
    if (name !== undefined)
      return `expected the option "${name}" of ${what} by its current name, got its former name "${path}". Rename it to "${name}".`;
    const known = path?.includes('.') === false ? `: ${options.join(', ')}` : '';
    return `expected only known options for ${what}${known}, got "${path}". Correct its name or remove it.`;
  }
  if (isKey) return `expected the option "${path}" of ${what} to be given, got nothing. Add it.`;
  const subject = path === null ? what : `the option "${path}" of ${what}`;
  // The schemas below have their own messages; valibot's own messages all start with "Invalid".
  const expected = issue.message.startsWith('Invalid') ? inPlainWords(issue.expected) : issue.message;
  const got = issue.type === 'check' ? JSON.stringify(issue.input) : describeValue(issue.input);
  return `expected ${subject} to be ${expected}, got ${got}. Correct it, or leave it out.`;
}

/** Turns valibot's `("a" | "b" | "c")` into `"a", "b" or "c"`. */
const inPlainWords = (expected: string | null): string =>
  (expected ?? 'valid')
    .replace(/^\((.*)\)$/, '$1')
    .replace(/ \| (?=[^|]*$)/, ' or ')
    .replaceAll(' | ', ', ');

/** Returns the names in a group, from the second step of its pipe. */
const knownOptions = (schema: v.GenericSchema): string[] =>
  'pipe' in schema && Array.isArray(schema.pipe)
    ? Object.keys((schema.pipe[1] as { entries?: object }).entries ?? {})
    : [];

/** A group of options: an object with no other properties than these; frozen. */
export const group = <const Definitions extends OptionDefinitions>(
  definitions: Definitions,
): v.GenericSchema<
  GivenOptions<Definitions>,
  Readonly<v.InferOutput<v.StrictObjectSchema<Definitions, undefined>>>
> =>
  v.pipe(
    anyObject,
    v.strictObject(definitions),
    v.readonly(),
    v.transform((value) => Object.freeze(value)),
  ) as never; // accepts any object, to report its errors

/** An option that may be omitted, with its default. */
export function optional<Input, Output>(
  schema: v.GenericSchema<Input, Output>,
): Option<Input | undefined, Output | undefined>;
export function optional<Input, Output>(
  schema: v.GenericSchema<Input, Output>,
  value: NoInfer<Input>,
): Option<Input | undefined, Output>;
export function optional(schema: v.GenericSchema, value?: unknown): Option<unknown> {
  return v.optional(schema, value);
}

/** Options that override the module's one by one: without defaults, never undefined if given. */
export function overriding<const Definitions extends OptionDefinitions>(
  definitions: Definitions,
): v.GenericSchema<Partial<CheckedOptions<Definitions>>> {
  const members = Object.entries(definitions).map(([name, definition]) => [
    name,
    v.exactOptional('wrapped' in definition ? (definition.wrapped as v.GenericSchema) : definition),
  ]);
  return v.pipe(
    group(Object.fromEntries(members) as v.ObjectEntries),
    v.description("group, as the module's"),
  ) as never; // derived from these definitions
}

/** A group of options, or `false`. The error of a union would not name the wrong option. */
export function groupOrFalse<const Definitions extends OptionDefinitions>(definitions: Definitions) {
  const shape = group(definitions);
  const none = v.literal(false, 'an object, or false');
  const either = v.lazy<typeof shape | typeof none>((input) => (typeof input === 'boolean' ? none : shape));
  return v.pipe({ ...either, entries: definitions }, v.description('group, or false'));
}

const isRecord = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The longest delay of a Node timer; a longer one fires at once. */
const MAX_TIMER_MS = 2_147_483_647;
/** A hundred years. */
const MAX_AGE_MS = 3_155_760_000_000;

/** A duration within the range of a timer. */
export const milliseconds = (least = 0): v.GenericSchema<number> => duration(least, MAX_TIMER_MS);

const duration = (least: number, most: number, otherwise = ''): v.GenericSchema<number> => {
  const message = `a whole number of milliseconds from ${least} to ${most}${otherwise}`;
  return v.pipe(
    v.number(message),
    v.integer(message),
    v.minValue(least, message),
    v.maxValue(most, message),
    v.description(`ms, from ${inWords(least)}${otherwise}`),
  );
};

/** A time limit; `false` for none. */
export const timeLimit = (least: number): v.GenericSchema<number | false> =>
  durationOrFalse(least, MAX_TIMER_MS);

/** An age, which may exceed the range of a timer; `false` for no limit. */
export const ageLimit = (least: number): v.GenericSchema<number | false> =>
  durationOrFalse(least, MAX_AGE_MS);

const durationOrFalse = (least: number, most: number): v.GenericSchema<number | false> => {
  const schema = duration(least, most, ', or false');
  const message = `a whole number of milliseconds from ${least} to ${most}, or false`;
  return v.pipe(
    v.union([schema, v.literal(false)], message),
    v.description(`ms, from ${inWords(least)}, or false`),
  );
};

export const wholeNumber = (least: number): v.GenericSchema<number> => {
  const message = `a whole number of at least ${least}`;
  return v.pipe(
    v.number(message),
    v.safeInteger(message),
    v.minValue(least, message),
    v.description(`whole number, from ${inWords(least)}`),
  );
};

const inWords = (value: number): string => value.toLocaleString('en-US');

/** A function; only TypeScript knows its signature. */
export const callback = <T>(meaning = 'function'): v.GenericSchema<T> =>
  v.pipe(
    v.custom<T>((value) => typeof value === 'function', 'a function'),
    v.description(meaning),
  );

/** An object with unchecked properties. */
export const anyObject: v.GenericSchema<Record<string, unknown>> = v.pipe(
  v.custom<Record<string, unknown>>((value) => isRecord(value), 'an object'),
  v.description('object'),
);

export const nonEmptyString: v.GenericSchema<string> = v.pipe(
  v.custom<string>((value) => typeof value === 'string' && value !== '', 'a string that is not empty'),
  v.description('text'),
);

/** A value that `isOne` accepts; `message` names it in errors, `description` in docs/options.md. */
export const valueOf = <T>(
  isOne: (value: unknown) => boolean,
  message: string,
  description = message,
): v.GenericSchema<T> => v.pipe(v.custom<T>(isOne, message), v.description(description));

/** Rejects a group whose `minDelayMs` exceeds its `maxDelayMs`. */
export const pausesGrow = <T extends { readonly minDelayMs?: number; readonly maxDelayMs?: number }>() =>
  v.check<T, string>(
    ({ minDelayMs = 0, maxDelayMs = Infinity }) => minDelayMs <= maxDelayMs,
    'an object whose "minDelayMs" is at most its "maxDelayMs"',
  );
