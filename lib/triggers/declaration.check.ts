import { isDeepStrictEqual } from 'node:util';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { Operation } from '../channels/entity-change.js';
import { PgPubSubError } from '../common/errors.js';
import type { NotifyChangesOptions } from './notify-changes.decorator.js';
import type { ResolvedTrigger } from './trigger.resolver.js';

/** Throws for a declaration that can never notify as it says. */
export function assertSatisfiable(
  what: string,
  {
    on,
    of,
    when,
    columns,
    exclude,
  }: Pick<ResolvedTrigger, 'of' | 'exclude' | 'when' | 'columns'> & {
    readonly on: Operation | readonly Operation[];
  },
): void {
  const operations = typeof on === 'string' ? [on] : on;
  if (of.length > 0 && !operations.includes('update'))
    throw invalid(what, '"of" together with the operation update', `it for ${operations.join(', ')}`);
  if (when !== undefined && operations.every((one) => one === 'truncate'))
    throw invalid(what, '"when" together with operations on rows', 'it for truncate');
  if (columns !== undefined && exclude.length > 0)
    throw invalid(what, '"columns" or "exclude"', 'both: leave out what is not to be carried');
}

/** A definition says how its channel is delivered, to senders and listeners alike: a declaration cannot say otherwise. */
export function assertSameChannel(
  what: string,
  options: NotifyChangesOptions,
  definition: ChannelDefinition | undefined,
): void {
  if (definition === undefined) return;
  const option = (['delivery', 'ordered', 'retry', 'timeoutMs', 'wake', 'pollIntervalMs'] as const).find(
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
