import type { JsonValue } from '../common/json.js';
import type { ChannelDefinition } from './channel.definition.js';
import type { DecodedText, TextDecoder } from './entity-source.js';
import { decodePayload, validatePayload } from './payload.codec.js';
import { decodeWire, splitWire } from './wire.codec.js';

/**
 * Decodes the texts of a channel. The functions are chosen once, when the channel becomes known.
 * Owned by the channel's `RegisteredChannel`.
 */
export class ChannelDecoder {
  /** Decodes a broadcast without its schema. Throws or rejects when the text is invalid. */
  readonly decode: TextDecoder;
  /** Decodes a broadcast of `notify()`. */
  readonly decodeText: (text: string) => DecodedText;

  /** `entityDecoder` decodes texts of triggers; given for channels of entities only. */
  constructor(
    private readonly definition: ChannelDefinition,
    private readonly entityDecoder?: TextDecoder,
  ) {
    this.decodeText = createTextDecoder(definition);
    this.decode = entityDecoder ?? this.decodeText;
  }

  /** Returns (or resolves to) the payload that the schema of the channel returns. */
  validate(payload: unknown): unknown {
    return validatePayload(this.definition, payload);
  }

  /** Returns (or resolves to) the payload of a stored notification; `json` is its text, if any. */
  decodeStored(json: string | null): unknown {
    const decoded = this.entityDecoder ? payloadOf(this.entityDecoder(json ?? '')) : this.decodeJson(json);
    return decoded instanceof Promise
      ? decoded.then((payload) => this.validate(payload))
      : this.validate(decoded);
  }

  /** Returns the payload that `notify()` was given, as the codec decodes it. */
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
