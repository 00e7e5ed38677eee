import type { ChannelLike } from './channels/channel.registry.js';
import { PgPubSubError } from './common/errors.js';
import type { ListenerDefinition } from './listeners/listener.definition.js';
import type { PubSubParts } from './pubsub.parts.js';

/** A listener that the application has, of whichever instance. */
export interface ListenerCandidate {
  /** Those of its instance. */
  readonly parts: PubSubParts;
  readonly listener: ListenerDefinition;
  /** What a person may call its channel: its name, and the names of the entity classes that stand for it. */
  readonly channelNames: readonly string[];
  /** Is it among those of the option `listen`? `false` names none, so that all are. */
  readonly isListed: boolean;
}

export type SelectListeners = (
  candidates: readonly ListenerCandidate[],
) => Promise<readonly ListenerCandidate[]>;

/**
 * Chooses the listeners that run, in place of the option `listen`: of a program that runs the application without its
 * own main file, which provides it under `LISTENER_SELECTION` to all modules. It is asked once, when the listeners of
 * all instances are known and none of them runs; what it throws stops the application.
 */
export class ListenerSelection {
  private selected: Promise<readonly ListenerCandidate[]> | undefined;

  constructor(private readonly select: SelectListeners) {}

  /** Has it been asked? If not, the application has no instance of the library, or has not come so far. */
  get hasBegun(): boolean {
    return this.selected !== undefined;
  }

  async chosenOf(
    parts: PubSubParts,
    candidates: () => Promise<readonly ListenerCandidate[]>,
  ): Promise<readonly ListenerDefinition[]> {
    this.selected ??= candidates().then(this.select);
    const selected = await this.selected;
    return selected.filter((candidate) => candidate.parts === parts).map(({ listener }) => listener);
  }
}

/** Those of the option `listen`. Throws `INVALID_OPTIONS` when it lists a channel that has no listener. */
export function listedListeners(
  { options, registry }: PubSubParts,
  listeners: readonly ListenerDefinition[],
): readonly ListenerDefinition[] {
  if (typeof options.listen === 'boolean') return options.listen ? listeners : [];
  const known = new Set(listeners.map(({ channel }) => channel.name));
  const wanted = options.listen.map((channel) => registry.resolve(channel as ChannelLike).name); // which throws for anything else
  const unknown = wanted.find((channel) => !known.has(channel));
  if (unknown !== undefined) throw unknownListenChannel(unknown, [...known]);
  return listeners.filter(({ channel }) => wanted.includes(channel.name));
}

const unknownListenChannel = (channel: string, known: readonly string[]) =>
  new PgPubSubError(
    'INVALID_OPTIONS',
    `expected the option "listen" to list channels that have a listener (${known.join(', ') || 'there are none'}), got "${channel}". ` +
      'Correct its name, or provide the class that listens to it.',
  );
