import type { JsonValue } from '../common/json.js';
import type { ChannelDefinition } from './channel.definition.js';
import type { DecodedText, TextDecoder } from './entity-source.js';
import { decodePayload, validatePayload } from './payload.codec.js';
import { decodeWire, splitWire } from './wire.codec.js';

/**
 * How the texts of a channel become payloads: the functions are chosen once, when the channel becomes known. Owned by
 * the channel's `RegisteredChannel`.
 */
export class ChannelDecoder {
  /** Decodes a broadcast, without the schema. Throws, or rejects, for a text that listeners cannot get. */
  readonly decode: TextDecoder;
  /** Decodes a broadcast of `notify()`. */
  readonly decodeText: (text: string) => DecodedText;

  /** `ofEntity`: for channels whose texts come from triggers. */
  constructor(
    private readonly definition: ChannelDefinition,
    private readonly ofEntity?: TextDecoder,
  ) {
    this.decodeText = createTextDecoder(definition);
    this.decode = ofEntity ?? this.decodeText;
  }

  /** Returns (or resolves to) the payload that the schema of the channel makes of a decoded one. */
  validate(payload: unknown): unknown {
    return validatePayload(this.definition, payload);
  }

  /** Returns (or resolves to) the payload of a stored notification; `json` is its JSON text, `null` for none. */
  decodeStored(json: string | null): unknown {
    const decoded = this.ofEntity ? payloadOf(this.ofEntity(json ?? '')) : this.decodeJson(json);
    return decoded instanceof Promise
      ? decoded.then((payload) => this.validate(payload))
      : this.validate(decoded);
  }

  /** Returns what `notify()` was given for this JSON text, as the codec decodes it. */
  decodeJson(json: string | null): unknown {
    return decodePayload(this.definition, json === null ? undefined : this.inputOf(json));
  }

  private inputOf(json: string): JsonValue {
    return takesText(this.definition) ? json : (JSON.parse(json) as JsonValue);
  }
}

const takesText = ({ codec }: ChannelDefinition): boolean => codec?.input === 'text';

function createTextDecoder(definition: ChannelDefinition): (text: string) => DecodedText {
  if (definition.codec === undefined) return decodeWire;
  const decodeInput = takesText(definition) ? splitWire : decodeWire;
  return (text) => {
    const { payload, context } = decodeInput(text);
    return { payload: decodePayload(definition, payload), context };
  };
}

const payloadOf = (decoded: DecodedText | Promise<DecodedText>): unknown =>
  decoded instanceof Promise ? decoded.then(({ payload }) => payload) : decoded.payload;
