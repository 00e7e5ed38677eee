import * as v from 'valibot';
import { hasBrand } from '../common/brand.js';
import type { ChannelDefinition } from './channel.definition.js';

export const CHANNEL_DEFINITION = Symbol.for('nestjs-pgpubsub:channel-definition');

/** Whether `defineChannel()` made a value, in this or another copy of the package. */
export const isChannelDefinition = (value: unknown): value is ChannelDefinition =>
  hasBrand(value, CHANNEL_DEFINITION);

export const channelDefinitionShape = v.custom<ChannelDefinition>(
  isChannelDefinition,
  'definitions made by defineChannel()',
);
