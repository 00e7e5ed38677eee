import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { EntityClass } from '../channels/entity-change.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import type { ResolvedOptions } from '../common/options.js';
import { createParts, type PubSubParts } from '../pubsub.parts.js';
import { EntityChannels } from '../triggers/entity-channels.js';
import { Database } from '../triggers/database.js';
import { DeliveryRecord } from './delivery-record.js';
import { EntityDeliveries } from './entity-deliveries.js';
import { Loopback } from './loopback.js';
import { TrackedPublisher } from './tracked-publisher.js';

/** The parts of an instance that has no database, and what only a test looks at. */
export interface TestingParts extends PubSubParts {
  readonly loopback: Loopback;
  readonly record: DeliveryRecord;
  readonly changes: EntityDeliveries;
  readonly publisher: TrackedPublisher;
}

/** The channels of the entities that the test has listed. */
class KnownEntities extends EntityChannels {
  constructor(
    private readonly dataSource: DataSource,
    changes: EntityDeliveries,
  ) {
    const triggers = Database.of(dataSource).triggers;
    const isDeclared = (channel: string) => triggers.some((trigger) => trigger.channel === channel);
    super(triggers, (channel) => (isDeclared(channel) ? (text) => changes.decode(channel, text) : undefined));
  }

  override definitionOf(entity: EntityClass): ChannelDefinition {
    if (!this.dataSource.hasMetadata(entity)) throw notListed(entity);
    return super.definitionOf(entity);
  }
}

/** The real parts, on a {@link Loopback}. */
export function createTestingParts(options: ResolvedOptions, dataSource: DataSource): TestingParts {
  const changes = new EntityDeliveries();
  const loopback = new Loopback({
    delivering: (channel) => record.watch(channel),
    sent: (message) => record.addSent(message),
    prepareEntities: async ({ registry }) => registry.useEntities(new KnownEntities(dataSource, changes)),
  });
  const parts = createParts(options, dataSource, new Logger('PgPubSub'), loopback);
  const record: DeliveryRecord = new DeliveryRecord(parts);
  return { ...parts, publisher: new TrackedPublisher(parts.publisher), loopback, record, changes };
}

const notListed = (entity: unknown) =>
  new PgPubSubError(
    'INVALID_CHANNEL',
    `expected the entities of PgPubSubTestingModule to include ${describeValue(entity)}, whose changes are listened to, got others. ` +
      'List it, and those it is related to: forRoot({ entities: [Author, Post] }).',
  );

export const isTesting = (parts: PubSubParts): parts is TestingParts => 'loopback' in parts;
