import { isDeepStrictEqual } from 'node:util';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { Operation } from '../channels/entity-change.js';
import { PgPubSubError } from '../common/errors.js';
import { DELIVERY_OPTIONS, findContradiction, type ChannelSettings } from '../channels/channel.options.js';
import type { NotifyChangesOptions } from './notify-changes.options.js';
import type { ResolvedTrigger } from './trigger.resolver.js';

/** The error for a notification without columns, which would be empty. */
export const NO_COLUMNS_LEFT = [
  'at least one column that the notification carries',
  'none: name those that it carries in "columns", or leave "columns" out to carry all',
] as const;

type Satisfiable = Pick<ResolvedTrigger, 'of' | 'exclude' | 'when' | 'columns'> & {
  readonly on: Operation | readonly Operation[];
};

/** Throws for a declaration that can never notify as declared. */
export function assertSatisfiable(what: string, { on, of, when, columns, exclude }: Satisfiable): void {
  const operations = typeof on === 'string' ? [on] : on;
  if (of.length > 0 && !operations.includes('update'))
    throw invalid(what, '"of" together with the operation update', `it for ${operations.join(', ')}`);
  if (when !== undefined && operations.every((one) => one === 'truncate'))
    throw invalid(what, '"when" together with operations on rows', 'it for truncate');
  if (columns !== undefined && exclude.length > 0)
    throw invalid(what, '"columns" or "exclude"', 'both: leave out what is not to be carried');
  if (columns?.length === 0) throw invalid(what, ...NO_COLUMNS_LEFT);
}

export function assertEffective(what: string, options: ChannelSettings): void {
  const contradiction = findContradiction(options);
  if (contradiction === undefined) return;
  const { expected, got, remedy } = contradiction;
  throw new PgPubSubError('INVALID_TRIGGER', `${what}: expected ${expected}, got ${got}. ${remedy}`);
}

/** Throws for a declaration that contradicts its definition, which applies to all users of it. */
export function assertSameChannel(
  what: string,
  options: NotifyChangesOptions,
  definition: ChannelDefinition,
): void {
  const names = Object.keys(DELIVERY_OPTIONS) as (keyof typeof DELIVERY_OPTIONS)[];
  const option = names.find(
    (name) => options[name] !== undefined && !isDeepStrictEqual(options[name], definition[name]),
  );
  if (option === undefined) return;
  const [expected, got] = [definition[option], options[option]].map(
    (value) => JSON.stringify(value) ?? 'none',
  );
  throw invalid(
    what,
    `"${option}" to be that of the channel "${definition.name}" (${expected})`,
    String(got),
  );
}

export const invalid = (what: string, expected: string, got: string) =>
  new PgPubSubError('INVALID_TRIGGER', `${what}: expected ${expected}, got ${got}. Correct the declaration.`);
