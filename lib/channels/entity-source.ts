import type { JsonObject } from '../common/json.js';
import type { ChannelDefinition } from './channel.definition.js';

/** The content of a text. Decoding takes a while when rows have to be loaded. */
export interface DecodedText {
  readonly payload: unknown;
  readonly context: JsonObject;
}

export type TextDecoder = (text: string) => DecodedText | Promise<DecodedText>;

/** The entities whose changes are sent, once the DataSource is known; see `triggers/`. */
export interface EntitySource {
  readonly definitions: readonly ChannelDefinition[];
  /** Returns the channel of an entity. Throws `INVALID_CHANNEL` if it declares none, or several. */
  definitionOf(entity: object): ChannelDefinition;
  classNamesOf(channel: string): readonly string[];
  /** Returns the decoder of an entity's channel; `undefined` for other channels. */
  decoderOf(channel: string): TextDecoder | undefined;
  /** Returns the operations that an entity's channel sends; `undefined` for others. */
  operationsOf(channel: string): readonly string[] | undefined;
  /** Returns the filter for changes of an entity; `undefined` if its channel has no others. */
  isOf(entity: object): ((payload: unknown) => boolean) | undefined;
  /** Throws `INVALID_PAYLOAD` for a text on an entity's channel that is not a change of a table. */
  assertText(channel: string, text: string): void;
}
