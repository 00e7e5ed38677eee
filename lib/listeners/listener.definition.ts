import * as v from 'valibot';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { ChannelRegistry } from '../channels/channel.registry.js';
import { PgPubSubError } from '../common/errors.js';
import type { Gap } from '../common/facts.js';
import type { JsonObject } from '../common/json.js';
import { contextFilterShape, retryShape } from '../common/options.resolver.js';
import { nonEmptyString, parseShape, wholeNumber } from '../common/parse.js';
import type { ListenerDeclaration } from './listener.decorator.js';
import type { Invoke } from './listener.invoker.js';

/** A listener, found and checked: what the dispatcher runs. */
export interface ListenerDefinition {
  readonly name: string;
  readonly channel: ChannelDefinition;
  readonly concurrency: number;
  readonly context: JsonObject | undefined;
  readonly invoke: Invoke;
}

/** A method decorated with `@OnGap()`. */
export interface GapHandler {
  readonly name: string;
  readonly invoke: (gap: Gap) => Promise<unknown>;
}

const OPERATIONS = ['insert', 'update', 'delete', 'truncate'] as const;

const optionsShape = v.strictObject({
  name: v.optional(nonEmptyString),
  concurrency: v.optional(wholeNumber(1), 1),
  filter: v.optional(contextFilterShape),
  batch: v.optional(v.boolean()),
  retry: v.optional(retryShape),
  on: v.optional(v.union([v.picklist(OPERATIONS), v.array(v.picklist(OPERATIONS))])),
  pubsub: v.optional(nonEmptyString),
});

/** Throws `INVALID_LISTENER` (or `INVALID_CHANNEL`) with the method's name for what cannot be meant. */
export function resolveListener(
  { channel, options }: ListenerDeclaration,
  method: string,
  registry: ChannelRegistry,
): Omit<ListenerDefinition, 'invoke'> {
  const what = `@Listener() on ${method}()`;
  const parsed = parseShape(optionsShape, options, { code: 'INVALID_LISTENER', what });
  const definition = resolveChannel(channel, what, registry);
  if (definition.delivery === 'exactly-once') {
    throw invalid(
      what,
      'a broadcast channel',
      `"${definition.name}", which is exactly-once: this version cannot handle those yet`,
    );
  }
  for (const option of ['batch', 'retry'] as const) {
    if (parsed[option] !== undefined)
      throw invalid(
        what,
        `"${option}" on exactly-once channels only`,
        `it for the broadcast channel "${definition.name}"`,
      );
  }
  if (parsed.on !== undefined)
    throw invalid(what, '"on" for channels of entities only', `it for the channel "${definition.name}"`);
  return {
    name: parsed.name ?? method,
    channel: definition,
    concurrency: parsed.concurrency,
    context: parsed.filter?.context,
  };
}

function resolveChannel(
  channel: ListenerDeclaration['channel'],
  what: string,
  registry: ChannelRegistry,
): ChannelDefinition {
  try {
    return registry.resolve(channel);
  } catch (error) {
    if (!(error instanceof PgPubSubError)) throw error;
    throw new PgPubSubError(error.code, `${what}: ${error.message}`, { cause: error });
  }
}

const invalid = (what: string, expected: string, got: string) =>
  new PgPubSubError('INVALID_LISTENER', `${what}: expected ${expected}, got ${got}. Correct the decorator.`);
