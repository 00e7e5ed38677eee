import { ChannelDecoder } from './channel.decoder.js';
import type { ChannelDefinition } from './channel.definition.js';
import type { TextDecoder } from './entity-source.js';

/**
 * A channel as an instance knows it: one object per name. Receivers hold it, so that nothing is looked up by name for
 * a notification; what becomes known of the channel later is replaced in place. Owned by the registry.
 */
export class RegisteredChannel {
  readonly name: string;
  private current: ChannelDefinition;
  private currentDecoder: ChannelDecoder;
  private ofEntity: TextDecoder | undefined;

  /** `defined`: whether the application has defined the channel, or merely named it. */
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

  /** The application has defined a channel that was known by its name only. */
  define(definition: ChannelDefinition): void {
    this.defined = true;
    this.current = definition;
    this.currentDecoder = new ChannelDecoder(definition, this.ofEntity);
  }

  /** From now on the texts of the channel are changes of entities. */
  useEntities(decode: TextDecoder | undefined): void {
    this.ofEntity = decode;
    this.currentDecoder = new ChannelDecoder(this.current, decode);
  }
}
