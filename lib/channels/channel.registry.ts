import { isDeepStrictEqual } from 'node:util';
import { PgPubSubError, describeValue } from '../common/errors.js';
import { assertChannelName } from './channel-name.js';
import { isChannelDefinition } from './channel-brand.js';
import { plainChannel, type ChannelDefinition } from './channel.definition.js';
import type { EntityChange, EntityClass } from './entity-change.js';
import type { EntitySource } from './entity-source.js';
import { RegisteredChannel } from './registered-channel.js';

/** A channel as an argument: its name, its definition, or an entity with `@NotifyChanges()`. */
export type ChannelLike<T = unknown> = string | ChannelDefinition<T> | EntityClass;

/** The payload of a channel or entity: `PayloadOf<typeof Orders>`; `unknown` for a name. */
export type PayloadOf<C> =
  C extends ChannelDefinition<infer T> ? T : C extends EntityClass<infer E> ? EntityChange<E> : unknown;

/** Whether a payload is addressed to the receiver that selected the channel. */
export type IsAddressed = (payload: unknown) => boolean;

/** A channel that a receiver has selected, with all payloads unless `isAddressed` filters them. */
export interface SelectedChannel {
  readonly definition: ChannelDefinition;
  readonly isAddressed: IsAddressed | undefined;
}

/**
 * The channels that one instance knows by name: those of `forFeature()`, of listeners, and of sent
 * definitions. Owned by the module; lives as long as the instance.
 */
export class ChannelRegistry {
  private readonly byName = new Map<string, RegisteredChannel>();
  private entities: EntitySource | undefined;

  /**
   * Returns the definition of `channel`. A name without a definition is a broadcast channel of any
   * JSON; it is not stored, so that names made at run time cost no memory.
   *
   * Throws `INVALID_CHANNEL` for other values, `CHANNEL_CONFLICT` if two definitions of a name
   * differ.
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

  /** Returns each channel once, with a filter of its payloads. Throws as {@link resolve} does. */
  select(channels: readonly ChannelLike[]): SelectedChannel[] {
    const selected = new Map<
      string,
      { definition: ChannelDefinition; filters: (IsAddressed | undefined)[] }
    >();
    for (const channel of channels) {
      const definition = this.resolve(channel);
      const known = selected.get(definition.name) ?? { definition, filters: [] };
      known.filters.push(this.addressFilterOf(channel));
      selected.set(definition.name, known);
    }
    return Array.from(selected.values(), ({ definition, filters }) => ({
      definition,
      isAddressed: anyOf(filters),
    }));
  }

  /** Returns the channel of a definition, the same object until it is released. */
  acquire(definition: ChannelDefinition): RegisteredChannel {
    const known = this.byName.get(definition.name) ?? new RegisteredChannel(definition, false);
    this.byName.set(definition.name, known);
    return known;
  }

  /** Removes a channel without receivers, unless the application has defined it. */
  release(channel: RegisteredChannel): void {
    if (!channel.isDefined) this.byName.delete(channel.name);
  }

  /** Returns the definitions of a list, if given. Throws `INVALID_ARGUMENT` if it is not a list. */
  resolveList(channels: readonly ChannelLike[] | undefined): ChannelDefinition[] | undefined {
    if (channels === undefined) return undefined;
    if (!Array.isArray(channels)) throw notAList(channels);
    return channels.map((channel: ChannelLike) => this.resolve(channel));
  }

  /** Adds the channels of entities; from now on, entity classes resolve to them. */
  useEntities(entities: EntitySource): void {
    this.entities = entities;
    for (const definition of entities.definitions) {
      this.add(definition);
      this.acquire(definition).useEntities(entities.decoderOf(definition.name));
    }
  }

  /** Throws `INVALID_PAYLOAD` for a text that listeners of an entity's channel would reject. */
  assertText(channel: string, text: string): void {
    this.entities?.assertText(channel, text);
  }

  /** Returns the filter of payloads for a receiver; `undefined`: all are addressed to it. */
  addressFilterOf(channel: ChannelLike): IsAddressed | undefined {
    return typeof channel === 'function' ? this.entities?.isOf(channel) : undefined;
  }

  /** Returns the operations that an entity's channel sends; `undefined` for other channels. */
  operationsOf(channel: string): readonly string[] | undefined {
    return this.entities?.operationsOf(channel);
  }

  classNamesOf(channel: string): readonly string[] {
    return this.entities?.classNamesOf(channel) ?? [];
  }

  /** The channels that the application has defined. */
  get definitions(): ChannelDefinition[] {
    return [...this.byName.values()].filter(({ isDefined }) => isDefined).map(({ definition }) => definition);
  }

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

/** Whether two definitions are equal, even from different copies of the package. */
const isSame = (one: ChannelDefinition, other: ChannelDefinition): boolean =>
  isDeepStrictEqual(Object.entries(one), Object.entries(other));
const anyOf = (filters: readonly (IsAddressed | undefined)[]): IsAddressed | undefined =>
  filters.includes(undefined)
    ? undefined
    : (payload) => filters.some((isAddressed) => isAddressed?.(payload));

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

/** No entity of the DataSource is decorated, or the application has not started yet. */
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
