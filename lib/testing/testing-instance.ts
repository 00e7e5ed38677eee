import { Logger } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { EntityClass } from '../channels/entity-change.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import type { ResolvedOptions } from '../common/options.js';
import { Instance } from '../instance/instance.js';
import { Database } from '../triggers/database.js';
import { EntityChannels } from '../triggers/entity-channels.js';
import { DeliveryRecord } from './delivery-record.js';
import { EntityDeliveries } from './entity-deliveries.js';
import { Loopback } from './loopback.js';
import { noDatabase } from './no-database.js';

/** An instance on a {@link Loopback} that records deliveries for a test. */
export class TestingInstance extends Instance {
  readonly record = new DeliveryRecord(this);
  private readonly calls = new Set<Promise<void>>();

  constructor(
    options: ResolvedOptions,
    dataSource: DataSource,
    readonly loopback: Loopback,
    readonly changes: EntityDeliveries,
  ) {
    super(options, dataSource, new Logger('PgPubSub'), loopback);
  }

  override publish(...sent: Parameters<Instance['publish']>): Promise<void> {
    const result = super.publish(...sent);
    const call: Promise<void> = result
      .catch(() => undefined) // the sender gets the error
      .finally(() => this.calls.delete(call));
    this.calls.add(call);
    return result;
  }

  override recover(): Promise<never> {
    return Promise.reject(noDatabase('recover()'));
  }

  /** Resolves when all notifications sent so far, and by their handlers, are handled. */
  override async whenIdle(): Promise<void> {
    do {
      await Promise.all(this.calls);
      await super.whenIdle();
    } while (this.calls.size > 0);
  }
}

export function createTestingInstance(options: ResolvedOptions, dataSource: DataSource): TestingInstance {
  const changes = new EntityDeliveries();
  const loopback = new Loopback({
    delivering: (channel) => instance.record.watch(channel),
    sent: (message) => instance.record.addSent(message),
    loadEntities: (connected) => Promise.resolve(new KnownEntities(connected, changes)),
  });
  const instance: TestingInstance = new TestingInstance(options, dataSource, loopback, changes);
  return instance;
}

export const isTesting = (instance: Instance | undefined): instance is TestingInstance =>
  instance !== undefined && 'loopback' in instance;

/** The channels of the entities that the test lists. */
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

const notListed = (entity: unknown) =>
  new PgPubSubError(
    'INVALID_CHANNEL',
    `expected the entities of PgPubSubTestingModule to include ${describeValue(entity)}, which has a listener, got others. ` +
      'List it with the entities that it is related to: forRoot({ entities: [Author, Post] }).',
  );
