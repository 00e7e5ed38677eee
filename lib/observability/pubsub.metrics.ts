import type { Attributes, Meter } from '@opentelemetry/api';
import type { Delivered, Invoke } from '../channels/notification.js';
import type { PubSubEvent } from '../common/events.js';
import {
  CHANNEL,
  DELIVERY,
  ERROR_TYPE,
  LISTENER,
  OPERATION,
  OPERATION_TYPE,
  attributesOfInstance,
} from './attributes.js';
import { OTHER, errorTypeOf } from './error-type.js';
import { notificationsOf, type HandledBy } from './handling.js';
import { createInstruments, type Instruments, type MetricsOf } from './metrics.definitions.js';

export interface MetricsOptions {
  readonly meter: Meter;
  readonly instance: string;
  /** Whether metrics may name this channel. */
  readonly isNamed: (channel: string) => boolean;
}

type EventOf<Type extends PubSubEvent['type']> = Extract<PubSubEvent, { type: Type }>;

/** Counts events and times handlers. Owned by the telemetry; lives as long as the instance. */
export class PubSubMetrics {
  private readonly instruments: Instruments;
  private readonly common: Attributes;

  constructor(private readonly options: MetricsOptions) {
    this.instruments = createInstruments(options.meter);
    this.common = attributesOfInstance(options.instance);
  }

  record(event: PubSubEvent): void {
    switch (event.type) {
      case 'published':
        return this.recordSent(event, 'broadcast');
      case 'stored':
        return this.recordSent(event, 'exactly-once');
      case 'publish-failed':
        return this.recordSent(event, event.delivery);
      case 'received':
        return this.count('messaging.client.consumed.messages', event, { [OPERATION]: 'receive' });
      case 'handled':
        return this.count('pgpubsub.notifications.handled', event);
      case 'failed':
        return this.count('pgpubsub.notifications.failed', event);
      case 'rejected':
        return this.count('pgpubsub.notifications.rejected', event);
      case 'dropped':
      case 'discarded':
        return this.count('pgpubsub.notifications.dropped', { ...event, listener: event.receiver });
      case 'claimed':
        return this.recordClaim(event);
      case 'claim-failed':
        return this.count('pgpubsub.claim.failures', event);
      case 'stored-failed':
        return this.recordStoredFailure(event);
      case 'interrupted':
        return this.count('pgpubsub.notifications.interrupted', event);
      case 'gap':
        return this.count('pgpubsub.gaps', {});
      case 'reconnected':
        return this.count('pgpubsub.reconnects', {});
      case 'listening':
      case 'deafened':
      case 'disconnected':
      case 'reconnecting':
      case 'refused':
      case 'filter-failed':
      case 'crowded':
      case 'gap-handler-failed':
      case 'abandoned':
      case 'claiming':
      case 'claim-recovered':
      case 'pauses-changed':
      case 'pauses-unknown':
      case 'expiry-failed':
      case 'unrecorded':
      case 'retry-refused':
      case 'close-failed':
      case 'drifted':
      case 'schema-warned':
      case 'enhancers-skipped':
      case 'names-minified':
      case 'lazily-loaded':
      case 'duplicated':
        return undefined;
      default:
        return event satisfies never;
    }
  }

  timed({ channel, listener }: HandledBy, invoke: Invoke): (delivered: Delivered) => Promise<unknown> {
    const { instruments } = this;
    const attributes = this.attributesOf({ channel, listener });
    const ofProcess = { ...attributes, [OPERATION]: 'process', [OPERATION_TYPE]: 'process' };
    return async (delivered) => {
      const began = performance.now();
      const record = (all: Attributes) =>
        instruments['messaging.process.duration'].record(secondsSince(began), all);
      try {
        const result = await invoke(delivered);
        record(ofProcess);
        for (const ageMs of agesOf(delivered))
          instruments['pgpubsub.notification.age'].record(ageMs / 1_000, attributes);
        return result;
      } catch (error) {
        record({ ...ofProcess, [ERROR_TYPE]: errorTypeOf(error) });
        throw error;
      }
    };
  }

  private recordSent(
    event: EventOf<'published' | 'stored' | 'publish-failed'>,
    delivery: 'broadcast' | 'exactly-once',
  ): void {
    const operation = { [OPERATION]: 'send', [OPERATION_TYPE]: 'send', [DELIVERY]: delivery };
    const attributes = this.attributesOf(event, operation);
    this.instruments['messaging.client.sent.messages'].add(event.count, attributes);
    this.instruments['messaging.client.operation.duration'].record(event.durationMs / 1_000, attributes);
  }

  private recordClaim({ channel, size, durationMs }: EventOf<'claimed'>): void {
    const attributes = this.attributesOf({ channel });
    this.count('messaging.client.consumed.messages', { channel, count: size }, { [OPERATION]: 'claim' });
    this.instruments['pgpubsub.claim.size'].record(size, attributes);
    this.instruments['pgpubsub.claim.duration'].record(durationMs / 1_000, attributes);
  }

  private recordStoredFailure({ channel, listener, error, delayMs }: EventOf<'stored-failed'>): void {
    const failure = { channel, listener, error };
    this.count('pgpubsub.notifications.failed', failure);
    if (delayMs === undefined) this.count('pgpubsub.notifications.dead', failure);
    else this.count('pgpubsub.notifications.retried', failure);
  }

  private count(
    name: MetricsOf<'counter'>,
    about: About & { readonly count?: number },
    more?: Attributes,
  ): void {
    this.instruments[name].add(about.count ?? 1, this.attributesOf(about, more));
  }

  private attributesOf(about: About, more?: Attributes): Attributes {
    const { channel, listener } = about;
    return {
      ...this.common,
      ...(channel !== undefined && { [CHANNEL]: this.options.isNamed(channel) ? channel : OTHER }),
      ...(listener !== undefined && { [LISTENER]: listener }),
      ...('error' in about && { [ERROR_TYPE]: errorTypeOf(about.error) }),
      ...more,
    };
  }
}

interface About {
  readonly channel?: string;
  readonly listener?: string;
  readonly error?: unknown;
}

const secondsSince = (began: number): number => (performance.now() - began) / 1_000;

/** Compares the clocks of the server and of this process, which may differ slightly. */
function agesOf(delivered: Delivered): number[] {
  const now = Date.now();
  return notificationsOf(delivered).flatMap(({ createdAt }) =>
    createdAt === null ? [] : [Math.max(0, now - createdAt.getTime())],
  );
}
