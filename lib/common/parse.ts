import { isDeepStrictEqual } from 'node:util';
import * as v from 'valibot';
import { PgPubSubError, describeValue, type PgPubSubErrorCode } from './errors.js';

/**
 * An option: what may be given, and the value that the code reads. Its default is part of the schema. The comment above it says
 * what it means, to editors and to `docs/options.md`.
 */
export type Option<Input, Output = Input> = v.GenericSchema<Input, Output>;

/** The definitions of options, by name: the one source of their types, checks, defaults and documentation. */
export type OptionDefinitions = Readonly<Record<string, v.GenericSchema>>;

/** The type of the object in which an application gives these options. */
export type GivenOptions<Definitions> = {
  -readonly [
    Name in keyof Definitions as undefined extends Input<Definitions[Name]> ? Name : never
  ]?: Exclude<Input<Definitions[Name]>, undefined>;
} & {
  -readonly [Name in keyof Definitions as undefined extends Input<Definitions[Name]> ? never : Name]: Input<
    Definitions[Name]
  >;
};

/** The type of these options once they are checked. Each of them is there; without a default it may be undefined. */
export type CheckedOptions<Definitions> = {
  readonly [Name in keyof Definitions]: Definitions[Name] extends v.GenericSchema
    ? v.InferOutput<Definitions[Name]>
    : never;
};

type Input<Definition> = Definition extends v.GenericSchema ? v.InferInput<Definition> : never;

/** The subject of a check, for the sentence of its error. */
export interface Checked {
  readonly code: PgPubSubErrorCode;
  /** For example `PgPubSubModule.forRoot()`. */
  readonly what: string;
  /** Former names of options, each with the name that replaces it. */
  readonly renamed?: Readonly<Record<string, string>>;
}

/** A language of its own: an application that uses valibot, too, may have set a language for it. */
const LANGUAGE = 'nestjs-pgpubsub';

/**
 * Returns what `schema` makes of `value`, with defaults filled in, frozen with its groups. Throws a
 * {@link PgPubSubError} that names the first wrong property, what was expected there and what was given.
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

/**
 * Returns the checked options: each with what was given, its default, or undefined. Throws as {@link parseShape} does.
 */
export function parseOptions<const Definitions extends OptionDefinitions>(
  definitions: Definitions,
  given: unknown,
  checked: Checked,
): CheckedOptions<Definitions> {
  const names = Object.keys(definitions).map((name) => [name, undefined]);
  const parsed = parseShape(group(definitions), given, checked);
  return Object.freeze({ ...Object.fromEntries(names), ...parsed }) as CheckedOptions<Definitions>; // has each name
}

/** The first of these options whose value is not its default. Options that are missing count as not given. */
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
      return `expected the option "${name}" of ${what} by its name, got "${path}", which it was called before. Rename it to "${name}".`;
    const known = path?.includes('.') === false ? `: ${options.join(', ')}` : '';
    return `expected only known options for ${what}${known}, got "${path}". Correct its name or remove it.`;
  }
  if (isKey) return `expected the option "${path}" of ${what} to be given, got nothing. Add it.`;
  const subject = path === null ? what : `the option "${path}" of ${what}`;
  // The building blocks below carry their own wording; valibot's own messages all start with "Invalid".
  const expected = issue.message.startsWith('Invalid') ? inPlainWords(issue.expected) : issue.message;
  const got = issue.type === 'check' ? JSON.stringify(issue.input) : describeValue(issue.input);
  return `expected ${subject} to be ${expected}, got ${got}. Correct it, or leave it out.`;
}

/** valibot's `("a" | "b")` as `"a" or "b"`, and `("a" | "b" | "c")` as `"a", "b" or "c"`. */
const inPlainWords = (expected: string | null): string =>
  (expected ?? 'valid')
    .replace(/^\((.*)\)$/, '$1')
    .replace(/ \| (?=[^|]*$)/, ' or ')
    .replaceAll(' | ', ', ');

/** Of a group: the second step of its pipe has them. */
const knownOptions = (schema: v.GenericSchema): string[] =>
  'pipe' in schema && Array.isArray(schema.pipe)
    ? Object.keys((schema.pipe[1] as { entries?: object }).entries ?? {})
    : [];

/** A group of options: an object, not a list, with no other properties than these; frozen. */
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
  ) as never; // takes any object to say what is wrong with it

/** An option that may be left out, with the value that is taken then. */
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

/**
 * A group of options that override those of the module, one by one: they have no defaults, and none is undefined where the
 * module's would count.
 */
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

/** A group of options, or `false`. A union's error would not name the option inside. */
export function groupOrFalse<const Definitions extends OptionDefinitions>(definitions: Definitions) {
  const shape = group(definitions);
  const none = v.literal(false, 'an object, or false');
  const either = v.lazy<typeof shape | typeof none>((input) => (typeof input === 'boolean' ? none : shape));
  return v.pipe({ ...either, entries: definitions }, v.description('group, or false'));
}

const isRecord = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The longest delay a timer of Node can wait: more would fire at once. */
const MAX_TIMER_MS = 2_147_483_647;
/** A hundred years. */
const MAX_AGE_MS = 3_155_760_000_000;

/** A duration that a timer can wait. */
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

/** A limit in time; `false` for none. */
export const timeLimit = (least: number): v.GenericSchema<number | false> =>
  durationOrFalse(least, MAX_TIMER_MS);

/** An age, which no timer waits for; `false` for any. */
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
  const message = `a whole number from ${least} on`;
  return v.pipe(
    v.number(message),
    v.safeInteger(message),
    v.minValue(least, message),
    v.description(`whole number, from ${inWords(least)}`),
  );
};

const inWords = (value: number): string => value.toLocaleString('en-US');

/** A function; its signature is known to TypeScript only. */
export const callback = <T>(meaning = 'function'): v.GenericSchema<T> =>
  v.pipe(
    v.custom<T>((value) => typeof value === 'function', 'a function'),
    v.description(meaning),
  );

/** An object whose properties are not ours to check. */
export const anyObject: v.GenericSchema<Record<string, unknown>> = v.pipe(
  v.custom<Record<string, unknown>>((value) => isRecord(value), 'an object'),
  v.description('object'),
);

export const nonEmptyString: v.GenericSchema<string> = v.pipe(
  v.custom<string>((value) => typeof value === 'string' && value !== '', 'a string that is not empty'),
  v.description('text'),
);

/** A value that `isOne` recognises. `message` names it in errors, `description` in the documentation. */
export const valueOf = <T>(
  isOne: (value: unknown) => boolean,
  message: string,
  description = message,
): v.GenericSchema<T> => v.pipe(v.custom<T>(isOne, message), v.description(description));

/** To be added to a group with `minDelayMs` and `maxDelayMs`. */
export const pausesGrow = <T extends { readonly minDelayMs?: number; readonly maxDelayMs?: number }>() =>
  v.check<T, string>(
    ({ minDelayMs = 0, maxDelayMs = Infinity }) => minDelayMs <= maxDelayMs,
    'an object whose "minDelayMs" is at most its "maxDelayMs"',
  );
