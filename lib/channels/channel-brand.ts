import * as v from 'valibot';
import { hasBrand } from '../common/brand.js';
import type { ChannelDefinition } from './channel.definition.js';

/** Marks definitions: `defineChannel()` may be called in one copy of this package, and the definition used in another. */
export const CHANNEL_DEFINITION = Symbol.for('nestjs-pgpubsub:channel-definition');

/** Whether a value was made by `defineChannel()`, of this copy of the package or of another. */
export const isChannelDefinition = (value: unknown): value is ChannelDefinition =>
  hasBrand(value, CHANNEL_DEFINITION);

export const channelDefinitionShape = v.custom<ChannelDefinition>(
  isChannelDefinition,
  'definitions made by defineChannel()',
);
