import { ChannelDecoder } from './channel.decoder.js';
import type { ChannelDefinition } from './channel.definition.js';
import type { TextDecoder } from './entity-source.js';

/**
 * A channel of an instance, one object per name. Receivers hold it, so that a notification needs no
 * lookup by name; later definitions replace its state in place. Owned by the registry.
 */
export class RegisteredChannel {
  readonly name: string;
  private current: ChannelDefinition;
  private currentDecoder: ChannelDecoder;
  private entityDecoder: TextDecoder | undefined;

  /** `defined`: whether the application has defined the channel, or only used its name. */
  constructor(
    definition: ChannelDefinition,
    private defined: boolean,
  ) {
    this.name = definition.name;
    this.current = definition;
    this.currentDecoder = new ChannelDecoder(definition);
  }

  get definition(): ChannelDefinition {
    return this.current;
  }

  get decoder(): ChannelDecoder {
    return this.currentDecoder;
  }

  get isDefined(): boolean {
    return this.defined;
  }

  /** Sets the definition of a channel that was known by name only. */
  define(definition: ChannelDefinition): void {
    this.defined = true;
    this.current = definition;
    this.currentDecoder = new ChannelDecoder(definition, this.entityDecoder);
  }

  /** Decodes the texts of the channel as changes of entities. */
  useEntities(decode: TextDecoder | undefined): void {
    this.entityDecoder = decode;
    this.currentDecoder = new ChannelDecoder(this.current, decode);
  }
}
