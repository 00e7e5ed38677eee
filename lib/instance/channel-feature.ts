import type { ChannelLike } from '../channels/channel.registry.js';

/** The provider of `forFeature()`: channels that an instance knows by name. */
export class ChannelFeature {
  constructor(
    readonly channels: readonly ChannelLike[],
    readonly instance: string,
  ) {}
}
