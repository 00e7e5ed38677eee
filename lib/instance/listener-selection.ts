import type { ChannelLike } from '../channels/channel.registry.js';
import { PgPubSubError } from '../common/errors.js';
import type { ListenerDefinition } from '../listeners/listener.definition.js';
import type { Instance } from './instance.js';

/** A listener of the application, with the instance it belongs to. */
export interface ListenerCandidate {
  readonly instance: Instance;
  readonly listener: ListenerDefinition;
  /** The names of its channel: its own, and those of its entity classes. */
  readonly channelNames: readonly string[];
  /** Whether the option `listen` includes it; with `listen: false` all are included. */
  readonly isListed: boolean;
}

export type SelectListeners = (
  candidates: readonly ListenerCandidate[],
) => Promise<readonly ListenerCandidate[]>;

/**
 * Chooses the listeners that run, in place of the option `listen`. A program that runs the
 * application without its own main file provides it under `LISTENER_SELECTION` to all modules.
 * `select` is called once, when the listeners of all instances are known and none of them runs; its
 * error stops the application.
 */
export class ListenerSelection {
  private selected: Promise<readonly ListenerCandidate[]> | undefined;

  constructor(private readonly select: SelectListeners) {}

  /** Whether an instance of the application has requested its listeners. */
  get hasBegun(): boolean {
    return this.selected !== undefined;
  }

  /** Returns the chosen listeners of one of the application's instances. */
  async chosenOf(instance: Instance, instances: readonly Instance[]): Promise<readonly ListenerDefinition[]> {
    this.selected ??= candidatesOf(instances).then(this.select);
    const selected = await this.selected;
    return selected.filter((candidate) => candidate.instance === instance).map(({ listener }) => listener);
  }
}

async function candidatesOf(instances: readonly Instance[]): Promise<ListenerCandidate[]> {
  const candidates = instances.map(async (instance) => {
    const { options, registry } = instance;
    const { listeners } = await instance.discovered();
    const listed = options.listen === false ? listeners : listedListeners(instance, listeners);
    return listeners.map((listener) => ({
      instance,
      listener,
      channelNames: [listener.channel.name, ...registry.classNamesOf(listener.channel.name)],
      isListed: listed.includes(listener),
    }));
  });
  return (await Promise.all(candidates)).flat();
}

/** Returns the listeners that `listen` names. Throws `INVALID_OPTIONS` for unknown channels. */
export function listedListeners(
  { options, registry }: Pick<Instance, 'options' | 'registry'>,
  listeners: readonly ListenerDefinition[],
): readonly ListenerDefinition[] {
  if (typeof options.listen === 'boolean') return options.listen ? listeners : [];
  const known = new Set(listeners.map(({ channel }) => channel.name));
  const wanted = options.listen.map((channel) => registry.resolve(channel as ChannelLike).name); // resolve() throws for other values
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
