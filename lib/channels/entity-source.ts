import type { JsonObject } from '../common/json.js';
import type { ChannelDefinition } from './channel.definition.js';

/** What a text means to whoever listens; loading parts of it may take a while. */
export interface DecodedText {
  readonly payload: unknown;
  readonly context: JsonObject;
}

export type TextDecoder = (text: string) => DecodedText | Promise<DecodedText>;

/** What is known about the entities whose changes are notified, once the DataSource is: implemented by `triggers/`. */
export interface EntitySource {
  /** The channels of all entities. */
  readonly definitions: readonly ChannelDefinition[];
  /** The channel of an entity class. Throws `INVALID_CHANNEL` when it declares none, or several. */
  definitionOf(entity: object): ChannelDefinition;
  /** The names of the entity classes that stand for this channel. */
  classNamesOf(channel: string): readonly string[];
  /** How texts of this channel become changes of entities; `undefined` for other channels. */
  decoderOf(channel: string): TextDecoder | undefined;
  /** The operations that are sent on this channel; `undefined` for other channels. */
  operationsOf(channel: string): readonly string[] | undefined;
  /**
   * Whether a payload of the entity's channel is a change of the entity's table; `undefined`: the channel has changes of
   * no other.
   */
  isOf(entity: object): ((payload: unknown) => boolean) | undefined;
  /** Throws `INVALID_PAYLOAD` for a text that is to be sent on an entity's channel, and is no change of a table. */
  assertText(channel: string, text: string): void;
}
