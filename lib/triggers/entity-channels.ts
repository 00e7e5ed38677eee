import type { DataSource, EntityMetadata, EntityTarget, ObjectLiteral } from 'typeorm';
import { defineChannel, type ChannelDefinition } from '../channels/channel.definition.js';
import { DELIVERY_OPTIONS, type ChannelOptions } from '../channels/channel.options.js';
import type { EntitySource, TextDecoder } from '../channels/entity-source.js';
import { isJsonObject } from '../common/json.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import { ChangeDecoder, assertChange } from './change.decoder.js';
import type { Operation } from '../channels/entity-change.js';
import type { NotifyChangesOptions } from './notify-changes.options.js';
import { RowHydrators } from './row.hydrator.js';
import { defaultSchemaOf } from '../postgres/driver.js';
import type { ResolvedTrigger } from './trigger.resolver.js';

/**
 * The channels of a DataSource's entities: maps entities to channels and operations, and texts to
 * changes. Created when the application starts, from the declarations and one query of the catalog.
 */
export class EntityChannels implements EntitySource {
  readonly definitions: readonly ChannelDefinition[];
  private readonly byChannel: ReadonlyMap<string, readonly ResolvedTrigger[]>;

  /** `decoderOf`: returns the decoder of a channel; `undefined` for channels without entities. */
  constructor(
    private readonly triggers: readonly ResolvedTrigger[],
    readonly decoderOf: (channel: string) => TextDecoder | undefined,
  ) {
    this.definitions = triggers.map(
      (trigger) => trigger.definition ?? defineChannel(trigger.channel, channelOptions(trigger.options)),
    );
    this.byChannel = groupByChannel(triggers);
  }

  static async load(dataSource: DataSource, triggers: readonly ResolvedTrigger[]): Promise<EntityChannels> {
    const schemaOf = (metadata: EntityMetadata) => metadata.schema ?? defaultSchemaOf(dataSource);
    const metadataOf = (target: EntityTarget<ObjectLiteral> | undefined, schema: string, table: string) =>
      target !== undefined && dataSource.hasMetadata(target)
        ? dataSource.getMetadata(target)
        : dataSource.entityMetadatas.find(
            (metadata) => metadata.tableName === table && schemaOf(metadata) === schema,
          );
    const hydrators = await RowHydrators.load(dataSource);
    const decoders = new Map<string, TextDecoder>();
    for (const [channel, declared] of groupByChannel(triggers)) {
      const decoder = new ChangeDecoder(dataSource, hydrators, declared, metadataOf);
      decoders.set(channel, (text) => decoder.decode(channel, text));
    }
    return new EntityChannels(triggers, (channel) => decoders.get(channel));
  }

  definitionOf(entity: object): ChannelDefinition {
    const [chosen, ...more] = this.triggersSelectedBy(entity);
    if (chosen === undefined) throw notNotified(entity);
    if (more.length > 0) throw ambiguous(entity, this.triggersOf(entity));
    const definition = this.definitions[this.triggers.indexOf(chosen)];
    if (definition === undefined) throw notNotified(entity);
    return definition;
  }

  classNamesOf(channel: string): readonly string[] {
    const targets = new Set(this.triggers.map(({ target }) => target));
    const classes = [...targets].filter((target) => typeof target === 'function');
    const matching = classes.filter((entity) => {
      const [chosen, ...more] = this.triggersSelectedBy(entity);
      return chosen?.channel === channel && more.length === 0;
    });
    return matching.map(({ name }) => name);
  }

  assertText(channel: string, text: string): void {
    const declared = this.triggersOn(channel);
    if (declared.length > 0) assertChange(channel, text, declared);
  }

  operationsOf(channel: string): readonly Operation[] | undefined {
    const sent = this.triggersOn(channel);
    return sent.length === 0 ? undefined : [...new Set(sent.flatMap(({ on }) => on))];
  }

  isOf(entity: object): ((payload: unknown) => boolean) | undefined {
    const [chosen] = this.triggersSelectedBy(entity);
    if (chosen === undefined || this.triggersOn(chosen.channel).length === 1) return undefined;
    const { schema, table } = chosen;
    return (payload) => isJsonObject(payload) && payload['schema'] === schema && payload['table'] === table;
  }

  private triggersOn(channel: string): readonly ResolvedTrigger[] {
    return this.byChannel.get(channel) ?? [];
  }

  private triggersOf(entity: object): readonly ResolvedTrigger[] {
    return this.triggers.filter(({ target }) => target === entity);
  }

  /** Returns the trigger of the table's own channel; else those of explicitly named channels. */
  private triggersSelectedBy(entity: object): readonly ResolvedTrigger[] {
    const own = this.triggersOf(entity);
    const unnamed = own.filter(({ options }) => options.channel === undefined);
    return unnamed.length > 0 ? unnamed : own;
  }
}

function groupByChannel(
  triggers: readonly ResolvedTrigger[],
): ReadonlyMap<string, readonly ResolvedTrigger[]> {
  const groups = new Map<string, ResolvedTrigger[]>();
  for (const trigger of triggers) {
    const group = groups.get(trigger.channel);
    if (group) group.push(trigger);
    else groups.set(trigger.channel, [trigger]);
  }
  return groups;
}

/** Returns the options of a declaration that belong to its channel. */
function channelOptions(options: NotifyChangesOptions): ChannelOptions {
  return Object.fromEntries(Object.entries(options).filter(([name]) => name in DELIVERY_OPTIONS));
}

const notNotified = (entity: object) =>
  new PgPubSubError(
    'INVALID_CHANNEL',
    `expected an entity that is decorated with @NotifyChanges() and belongs to the DataSource, got ${describeValue(entity)}. ` +
      'Decorate it, list it in the `entities` of the DataSource, or name the instance it belongs to with { instance }.',
  );

const ambiguous = (entity: object, triggers: readonly ResolvedTrigger[]) =>
  new PgPubSubError(
    'INVALID_CHANNEL',
    `expected an entity with one channel, got ${describeValue(entity)} with ${triggers.map(({ channel }) => `"${channel}"`).join(', ')}. ` +
      'Pass the name of one of them.',
  );
