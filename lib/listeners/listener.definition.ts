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

/** A discovered and checked listener. */
export interface ListenerDefinition {
  readonly name: string;
  readonly channel: ChannelDefinition;
  readonly concurrency: number;
  /** Exactly-once: whether one call gets the whole claim. */
  readonly batch: boolean;
  /** Exactly-once: overrides the channel's. */
  readonly retry: Partial<RetryOptions> | undefined;
  /** Exactly-once: overrides the channel's. */
  readonly timeoutMs: number | false | undefined;
  /** Exactly-once: rows with another context are left to other processes. */
  readonly filter: JsonObject | undefined;
  /** Whether a notification matches by table and operation, and for broadcasts by context. */
  readonly accepts: ((notification: Notification) => boolean) | undefined;
  readonly invoke: Invoke;
}

export interface GapHandler {
  readonly name: string;
  readonly invoke: (gap: Gap) => Promise<unknown>;
}

/** Returns the options with their defaults. Throws `INVALID_LISTENER`, which names the method. */
export const resolveGapHandler = (options: GapHandlerOptions, method: string) =>
  parseOptions(GAP_OPTIONS, options, {
    code: 'INVALID_LISTENER',
    what: `@OnGap() on ${method}()`,
    renamed: RENAMED_OPTIONS,
  });

/**
 * Returns the options with their defaults. Throws `INVALID_LISTENER`, which names the method, in
 * every instance: invalid options do not identify one.
 */
export const checkListener = ({ options }: ListenerDeclaration, method: string) =>
  parseOptions(LISTENER_OPTIONS, options, {
    code: 'INVALID_LISTENER',
    what: whatOf(method),
    renamed: RENAMED_OPTIONS,
  });

const whatOf = (method: string): string => `@Listener() on ${method}()`;

/** Returns the checked listener. Throws `INVALID_LISTENER` or `INVALID_CHANNEL` with its method. */
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

/** Rejects operations that are never sent: a listener would wait indefinitely. */
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
  throw invalid(what, expected, `"${missing}", which "on" of @NotifyChanges() does not list`);
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
