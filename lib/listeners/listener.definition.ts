import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { ChannelRegistry } from '../channels/channel.registry.js';
import type { Invoke, Notification } from '../channels/notification.js';
import { PgPubSubError, isPgPubSubError } from '../common/errors.js';
import type { RetryOptions } from '../common/options.js';
import type { Gap } from '../common/events.js';
import { contains, isJsonObject, type JsonObject } from '../common/json.js';
import { findChanged, parseOptions, type CheckedOptions } from '../common/parse.js';
import type { ListenerDeclaration } from './listener.decorator.js';
import {
  EXACTLY_ONCE_LISTENER_OPTIONS,
  GAP_OPTIONS,
  LISTENER_OPTIONS,
  RENAMED_OPTIONS,
  type GapHandlerOptions,
} from './listener.options.js';

/** A listener, found and checked: what the dispatcher runs. */
export interface ListenerDefinition {
  readonly name: string;
  readonly channel: ChannelDefinition;
  readonly concurrency: number;
  /** Exactly-once: gets a claim at once. */
  readonly batch: boolean;
  /** Exactly-once: what it says over the channel. */
  readonly retry: Partial<RetryOptions> | undefined;
  /** Exactly-once: what it says over the channel. */
  readonly timeoutMs: number | false | undefined;
  /** Exactly-once: other rows are left to other processes. */
  readonly filter: JsonObject | undefined;
  /** Whether a notification is addressed to this listener, by its table and operation (and, for broadcasts, its context). */
  readonly accepts: ((notification: Notification) => boolean) | undefined;
  readonly invoke: Invoke;
}

/** A method decorated with `@OnGap()`. */
export interface GapHandler {
  readonly name: string;
  readonly invoke: (gap: Gap) => Promise<unknown>;
}

/** Returns the options with their defaults. Throws `INVALID_LISTENER` with the method's name for invalid ones. */
export const resolveGapHandler = (options: GapHandlerOptions, method: string) =>
  parseOptions(GAP_OPTIONS, options, {
    code: 'INVALID_LISTENER',
    what: `@OnGap() on ${method}()`,
    renamed: RENAMED_OPTIONS,
  });

/**
 * Returns the options with their defaults. Throws `INVALID_LISTENER` with the method's name for invalid ones: in every
 * instance, because invalid options do not say which instance is meant.
 */
export const checkListener = ({ options }: ListenerDeclaration, method: string) =>
  parseOptions(LISTENER_OPTIONS, options, {
    code: 'INVALID_LISTENER',
    what: whatOf(method),
    renamed: RENAMED_OPTIONS,
  });

const whatOf = (method: string): string => `@Listener() on ${method}()`;

/** Throws `INVALID_LISTENER` (or `INVALID_CHANNEL`) with the method's name for what cannot be meant. */
export function resolveListener(
  declaration: ListenerDeclaration,
  method: string,
  registry: ChannelRegistry,
): Omit<ListenerDefinition, 'invoke'> {
  const { channel } = declaration;
  const what = whatOf(method);
  const parsed = checkListener(declaration, method);
  const definition = resolveChannel(channel, what, registry);
  const isStored = definition.delivery === 'exactly-once';
  if (!isStored) assertBroadcastOptions(parsed, definition.name, what);
  if (parsed.batch && parsed.concurrency > 1)
    throw invalid(what, '"batch" or "concurrency"', 'both: a claim is one batch');
  const on = typeof parsed.on === 'string' ? [parsed.on] : parsed.on;
  if (on !== undefined) assertSent(on, registry.operationsOf(definition.name), definition.name, what);
  return {
    name: parsed.name ?? method,
    channel: definition,
    concurrency: parsed.concurrency,
    batch: parsed.batch,
    retry: parsed.retry,
    timeoutMs: parsed.timeoutMs,
    filter: isStored ? parsed.filter?.context : undefined,
    accepts: acceptance(registry.addressFilterOf(channel), on, isStored ? undefined : parsed.filter?.context),
  };
}

function assertBroadcastOptions(
  options: CheckedOptions<typeof EXACTLY_ONCE_LISTENER_OPTIONS>,
  channel: string,
  what: string,
): void {
  const surplus = findChanged(EXACTLY_ONCE_LISTENER_OPTIONS, options);
  if (surplus === undefined) return;
  throw invalid(
    what,
    `"${surplus}" on exactly-once channels only`,
    `it for the broadcast channel "${channel}"`,
  );
}

/** A listener of what is never sent would wait for ever. */
function assertSent(
  on: readonly string[],
  sent: readonly string[] | undefined,
  channel: string,
  what: string,
): void {
  if (sent === undefined)
    throw invalid(what, '"on" for channels of entities only', `it for the channel "${channel}"`);
  const missing = on.find((operation) => !sent.includes(operation));
  if (missing === undefined) return;
  const expected = `operations that the trigger of "${channel}" sends (${sent.join(', ')})`;
  throw invalid(what, expected, `"${missing}", which is to be added to "on" of @NotifyChanges()`);
}

function acceptance(
  isAddressed: ((payload: unknown) => boolean) | undefined,
  on: readonly string[] | undefined,
  context: JsonObject | undefined,
): ListenerDefinition['accepts'] {
  if (isAddressed === undefined && on === undefined && context === undefined) return undefined;
  return (notification) =>
    (isAddressed === undefined || isAddressed(notification.payload)) &&
    (on === undefined || isOneOf(on, notification.payload)) &&
    (context === undefined || contains(notification.context, context));
}

const isOneOf = (on: readonly string[], payload: unknown): boolean =>
  isJsonObject(payload) && typeof payload['operation'] === 'string' && on.includes(payload['operation']);

function resolveChannel(
  channel: ListenerDeclaration['channel'],
  what: string,
  registry: ChannelRegistry,
): ChannelDefinition {
  try {
    return registry.resolve(channel);
  } catch (error) {
    if (!isPgPubSubError(error)) throw error;
    throw new PgPubSubError(error.code, `${what}: ${error.message}`, { cause: error });
  }
}

const invalid = (what: string, expected: string, got: string) =>
  new PgPubSubError('INVALID_LISTENER', `${what}: expected ${expected}, got ${got}. Correct the decorator.`);
