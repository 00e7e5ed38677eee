import type { ListenerCandidate } from '../instance/listener-selection.js';
import { wrongUsage } from './command-failure.js';

/**
 * Returns the listeners to run: those of `channels` (names, or entity classes), else those of the
 * option `listen`. Throws wrong usage if a channel has no listener, or if no listener is left.
 */
export function chooseListeners(
  candidates: readonly ListenerCandidate[],
  channels: readonly string[] | undefined,
  module: string,
): readonly ListenerCandidate[] {
  if (channels) assertKnown(channels, candidates, module);
  const chosen = candidates.filter(({ channelNames, isListed }) =>
    channels ? channelNames.some((name) => channels.includes(name)) : isListed,
  );
  if (chosen.length === 0) throw noListener(module);
  return chosen;
}

export const noListener = (module: string) =>
  wrongUsage(
    `expected the application of ${module} to have a listener, got none. Import PgPubSubModule, and decorate a method ` +
      'of a provider with @Listener().',
  );

function assertKnown(
  channels: readonly string[],
  candidates: readonly ListenerCandidate[],
  module: string,
): void {
  const known = new Set(candidates.flatMap(({ channelNames }) => channelNames));
  const unknown = channels.find((channel) => !known.has(channel));
  if (unknown === undefined) return;
  const byChannel = new Map(
    candidates.map(({ listener, channelNames }) => [listener.channel.name, channelNames]),
  );
  const list = [...byChannel.values()].map(renderNames).toSorted().join(', ') || 'there are none';
  throw wrongUsage(
    `expected --channels to name channels that have a listener in ${module} (${list}), got "${unknown}".`,
  );
}

const renderNames = ([channel = '', ...classes]: readonly string[]): string =>
  classes.length === 0 ? channel : `${channel} = ${classes.join(' = ')}`;
