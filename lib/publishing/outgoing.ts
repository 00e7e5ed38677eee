import type { ChannelDefinition } from '../channels/channel.definition.js';
import { encodeBroadcast, encodeContext, encodeStored } from '../channels/payload.codec.js';
import { isPgPubSubError } from '../common/errors.js';
import type { JsonObject } from '../common/json.js';
import type { NotifyOptions } from './notify-options.js';

/** A notification on its way to the server. */
export interface Outgoing {
  readonly channel: string;
}

/** A broadcast, as NOTIFY takes it. */
export interface OutgoingBroadcast extends Outgoing {
  readonly text: string;
}

/** A notification, as it is stored. */
export interface OutgoingStored extends Outgoing {
  /** JSON text; `null` for none. */
  readonly payload: string | null;
  readonly context: string | null;
  readonly key: string | null;
  readonly availableAt: Date | null;
  readonly delayMs: number | null;
  /** Whether a hint wakes the processes that claim. */
  readonly hints: boolean;
}

/** Encodes broadcasts, without a trace that does not fit. Throws as `encodeStoredOnes()` does. */
export const encodeBroadcasts = (
  channel: ChannelDefinition,
  payloads: readonly unknown[],
  context: JsonObject | undefined,
  trace: JsonObject | undefined,
): OutgoingBroadcast[] =>
  payloads.map((payload) => ({
    channel: channel.name,
    text:
      (trace && encodeTraced(channel, payload, joined(trace, context))) ??
      encodeBroadcast(channel, payload, context),
  }));

/** Returns `undefined` if the trace does not fit beside the payload. */
function encodeTraced(
  channel: ChannelDefinition,
  payload: unknown,
  context: JsonObject | undefined,
): string | undefined {
  try {
    return encodeBroadcast(channel, payload, context);
  } catch (error) {
    if (isPgPubSubError(error) && error.code === 'PAYLOAD_TOO_LARGE') return undefined;
    throw error;
  }
}

/** Encodes stored notifications. Throws for values that JSON or PostgreSQL would reject. */
export function encodeStoredOnes(
  channel: ChannelDefinition,
  payloads: readonly unknown[],
  context: JsonObject | undefined,
  options: NotifyOptions,
): OutgoingStored[] {
  const { name, wake } = channel;
  const hints = wake === 'notify';
  const { key = null, availableAt = null, delayMs = null } = options;
  const text = encodeContext(channel, context);
  return payloads.map((payload) => {
    const json = encodeStored(channel, payload);
    return { channel: name, payload: json, context: text, key, availableAt, delayMs, hints }; // a spread would take twice as long
  });
}

/** Merges two contexts; members of `over` replace those of `under`. */
export const joined = (
  under: JsonObject | undefined,
  over: JsonObject | undefined,
): JsonObject | undefined => (under === undefined ? over : { ...under, ...over });
