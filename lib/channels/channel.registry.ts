import { isDeepStrictEqual } from 'node:util';
import { PgPubSubError, describeValue } from '../common/errors.js';
import { assertChannelName } from './channel-name.js';
import { isChannelDefinition } from './channel-brand.js';
import { plainChannel, type ChannelDefinition } from './channel.definition.js';
import type { EntityChange, EntityClass } from './entity-change.js';
import type { EntitySource } from './entity-source.js';
import { RegisteredChannel } from './registered-channel.js';

/** What is accepted wherever a channel is asked for: its name, its definition, or an entity with `@NotifyChanges()`. */
export type ChannelLike<T = unknown> = string | ChannelDefinition<T> | EntityClass;

/** The payload of a channel: `PayloadOf<typeof Orders>`, `PayloadOf<typeof Author>`; `unknown` for a mere name. */
export type PayloadOf<C> =
  C extends ChannelDefinition<infer T> ? T : C extends EntityClass<infer E> ? EntityChange<E> : unknown;

/** Whether a payload is meant by the receiver that asked for a channel. */
export type IsAddressed = (payload: unknown) => boolean;

/** A channel that a receiver has asked for; without `isAddressed` all of its payloads are meant. */
export interface SelectedChannel {
  readonly definition: ChannelDefinition;
  readonly isAddressed: IsAddressed | undefined;
}

/**
 * The channels one instance knows by name. Owned by the module; filled by `forFeature()`, by listeners and by the
 * definitions that are sent to; lives as long as the instance.
 */
export class ChannelRegistry {
  private readonly byName = new Map<string, RegisteredChannel>();
  private entities: EntitySource | undefined;

  /**
   * The definition that `channel` stands for. A name nobody has defined is a broadcast channel of any JSON; it is
   * not remembered, so that names made up at run time cost no memory.
   *
   * Throws `INVALID_CHANNEL` for anything else, `CHANNEL_CONFLICT` when a second definition differs from the first.
   */
  resolve(channel: ChannelLike): ChannelDefinition {
    if (isChannelDefinition(channel)) return this.add(channel);
    if (typeof channel === 'function' && this.entities) return this.entities.definitionOf(channel);
    if (typeof channel === 'function') throw notAnEntity(channel);
    if (typeof channel !== 'string') throw notAChannel(channel);
    const known = this.byName.get(channel);
    if (known) return known.definition;
    assertChannelName(channel);
    return plainChannel(channel);
  }

  /** The channels of these, each once, and which of their payloads are meant. Throws as {@link resolve} does. */
  select(channels: readonly ChannelLike[]): SelectedChannel[] {
    const selected = new Map<string, { definition: ChannelDefinition; meant: (IsAddressed | undefined)[] }>();
    for (const channel of channels) {
      const definition = this.resolve(channel);
      const known = selected.get(definition.name) ?? { definition, meant: [] };
      known.meant.push(this.addressFilterOf(channel));
      selected.set(definition.name, known);
    }
    return Array.from(selected.values(), ({ definition, meant }) => ({
      definition,
      isAddressed: anyOf(meant),
    }));
  }

  /** The channel of this definition, from now on the same object until it is released. */
  acquire(definition: ChannelDefinition): RegisteredChannel {
    const known = this.byName.get(definition.name) ?? new RegisteredChannel(definition, false);
    this.byName.set(definition.name, known);
    return known;
  }

  /** Forgets a channel that has no receivers any more, unless the application has defined it. */
  release(channel: RegisteredChannel): void {
    if (!channel.isDefined) this.byName.delete(channel.name);
  }

  /** The definitions of a list; `undefined` without one. Throws `INVALID_ARGUMENT` for what is no list. */
  resolveList(channels: readonly ChannelLike[] | undefined): ChannelDefinition[] | undefined {
    if (channels === undefined) return undefined;
    if (!Array.isArray(channels)) throw notAList(channels);
    return channels.map((channel: ChannelLike) => this.resolve(channel));
  }

  /** From now on entities stand for their channels, and those are known by name. */
  useEntities(entities: EntitySource): void {
    this.entities = entities;
    for (const definition of entities.definitions) {
      this.add(definition);
      this.acquire(definition).useEntities(entities.decoderOf(definition.name));
    }
  }

  /** Throws `INVALID_PAYLOAD` for a text that listeners of an entity's channel would refuse. */
  assertText(channel: string, text: string): void {
    this.entities?.assertText(channel, text);
  }

  /** Whether a payload is meant by who asks for this channel; `undefined`: every payload of it is. */
  addressFilterOf(channel: ChannelLike): IsAddressed | undefined {
    return typeof channel === 'function' ? this.entities?.isOf(channel) : undefined;
  }

  /** The operations that are sent on an entity's channel; `undefined` for other channels. */
  operationsOf(channel: string): readonly string[] | undefined {
    return this.entities?.operationsOf(channel);
  }

  /** The names of the entity classes that stand for the channel. */
  classNamesOf(channel: string): readonly string[] {
    return this.entities?.classNamesOf(channel) ?? [];
  }

  /** All that are known by name. */
  get definitions(): ChannelDefinition[] {
    return [...this.byName.values()].filter(({ isDefined }) => isDefined).map(({ definition }) => definition);
  }

  /** The definition known by this name, if any. */
  find(name: string): ChannelDefinition | undefined {
    const known = this.byName.get(name);
    return known?.isDefined ? known.definition : undefined;
  }

  private add(definition: ChannelDefinition): ChannelDefinition {
    const known = this.acquire(definition);
    if (!known.isDefined) known.define(definition);
    else if (known.definition !== definition && !isSame(known.definition, definition))
      throw conflict(definition.name);
    return known.definition;
  }
}

/** Whether two definitions say the same, also when they are of different copies of the package. */
const isSame = (one: ChannelDefinition, other: ChannelDefinition): boolean =>
  isDeepStrictEqual(Object.entries(one), Object.entries(other));
const anyOf = (meant: readonly (IsAddressed | undefined)[]): IsAddressed | undefined =>
  meant.includes(undefined) ? undefined : (payload) => meant.some((isAddressed) => isAddressed?.(payload));

const notAList = (got: unknown) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected the channels in an array, got ${describeValue(got)}. Put them into [ ].`,
  );

const notAChannel = (got: unknown) =>
  new PgPubSubError(
    'INVALID_CHANNEL',
    `expected a channel name, a definition made by defineChannel() or an entity with @NotifyChanges(), got ${describeValue(got)}. ` +
      (Array.isArray(got)
        ? 'Pass several channels one by one.'
        : 'Pass the name as a string, or define the channel; `undefined` may come from a circular import.'),
  );

/** None of the DataSource's entities is decorated, or the application has not started yet. */
const notAnEntity = (got: unknown) =>
  new PgPubSubError(
    'INVALID_CHANNEL',
    `expected an entity that is decorated with @NotifyChanges() and belongs to the DataSource, got ${describeValue(got)}. ` +
      'Decorate it, list it in the `entities` of the DataSource, or name the instance it belongs to with { instance }.',
  );

const conflict = (name: string) =>
  new PgPubSubError(
    'CHANNEL_CONFLICT',
    `expected one definition of the channel "${name}", got two with different options. ` +
      'Define it once, export it, and use that definition everywhere.',
  );
