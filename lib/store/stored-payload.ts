import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { TextDecoder } from '../channels/entity-source.js';
import { decodePayload, validatePayload } from '../channels/payload.codec.js';
import type { JsonValue } from '../common/json.js';

/** How the JSON texts of a channel become payloads: changes of entities by their decoder, the rest by the codec. */
export function createStoredDecoder(
  channel: ChannelDefinition,
  decoder: TextDecoder | undefined,
): (json: string | null) => unknown {
  if (decoder === undefined)
    return (json) =>
      validatePayload(
        channel,
        decodePayload(channel, json === null ? undefined : (JSON.parse(json) as JsonValue)),
      );
  return (json) => {
    const decoded = decoder(json ?? '');
    return decoded instanceof Promise
      ? decoded.then(({ payload }) => validatePayload(channel, payload))
      : validatePayload(channel, decoded.payload);
  };
}
