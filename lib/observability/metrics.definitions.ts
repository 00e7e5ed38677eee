import { ValueType, type Counter, type Histogram, type Meter } from '@opentelemetry/api';

interface MetricDefinition {
  readonly kind: 'counter' | 'histogram';
  readonly unit: string;
  readonly description: string;
  /** The bounds of a histogram's buckets, unless a view of the application sets others. */
  readonly buckets?: number[];
}

/** The bounds that the OpenTelemetry conventions advise for messaging. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
/** Bounds for notifications that may have waited for days. */
const LONG_SECONDS = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1_800, 3_600, 21_600, 86_400];
const ROWS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000];

const counter = (unit: string, description: string) => ({ kind: 'counter', unit, description }) as const;
const histogram = (unit: string, description: string, buckets: number[]) =>
  ({ kind: 'histogram', unit, description, buckets }) as const;

/** All metrics; names follow the OpenTelemetry messaging conventions where one exists. */
export const METRICS = {
  'messaging.client.sent.messages': counter(
    '{message}',
    'Notifications that notify() and notifyMany() tried to send or store.',
  ),
  'messaging.client.operation.duration': histogram(
    's',
    'Time from a call of notify() or notifyMany() until the server accepted it.',
    SECONDS,
  ),
  'messaging.client.consumed.messages': counter(
    '{message}',
    'Broadcasts received and stored notifications claimed.',
  ),
  'messaging.process.duration': histogram('s', 'Duration of a call of a listener.', SECONDS),
  'pgpubsub.notifications.handled': counter(
    '{notification}',
    'Notifications handled by a listener; stored ones after the commit.',
  ),
  'pgpubsub.notifications.failed': counter(
    '{notification}',
    'Notifications that a listener failed to handle.',
  ),
  'pgpubsub.notifications.retried': counter(
    '{notification}',
    'Failures of stored notifications that will be retried.',
  ),
  'pgpubsub.notifications.dead': counter('{notification}', 'Stored notifications that became dead letters.'),
  'pgpubsub.notifications.dropped': counter(
    '{notification}',
    'Broadcasts not delivered because the receiver was too slow or the application closed.',
  ),
  'pgpubsub.notifications.rejected': counter(
    '{notification}',
    'Broadcasts that could not be decoded, or that a schema rejected.',
  ),
  'pgpubsub.notifications.interrupted': counter(
    '{notification}',
    'Stored notifications whose process or connection ended during handling.',
  ),
  'pgpubsub.notification.age': histogram(
    's',
    'Time from storing a notification until a listener handled it.',
    LONG_SECONDS,
  ),
  'pgpubsub.claim.size': histogram('{notification}', 'Stored notifications locked by a claim.', ROWS),
  'pgpubsub.claim.duration': histogram('s', 'Time from the start of a claim to its commit.', SECONDS),
  'pgpubsub.claim.failures': counter('{claim}', 'Claims that were rolled back, or could not start.'),
  'pgpubsub.gaps': counter('{gap}', 'Periods in which broadcasts may have been missed.'),
  'pgpubsub.reconnects': counter('{reconnect}', 'Times that the LISTEN connection was lost and reopened.'),
} as const satisfies Record<string, MetricDefinition>;

type MetricName = keyof typeof METRICS;
export type MetricsOf<Kind extends MetricDefinition['kind']> = {
  [Name in MetricName]: (typeof METRICS)[Name]['kind'] extends Kind ? Name : never;
}[MetricName];

export type Instruments = { readonly [Name in MetricsOf<'counter'>]: Counter } & {
  readonly [Name in MetricsOf<'histogram'>]: Histogram;
};

export function createInstruments(meter: Meter): Instruments {
  const create = ([name, definition]: [string, MetricDefinition]) => {
    const { kind, unit, description, buckets } = definition;
    if (kind === 'counter')
      return [name, meter.createCounter(name, { unit, description, valueType: ValueType.INT })];
    const advice = buckets && { explicitBucketBoundaries: buckets };
    return [name, meter.createHistogram(name, { unit, description, ...(advice && { advice }) })];
  };
  return Object.fromEntries(Object.entries(METRICS).map(create)) as Instruments; // one per definition, of its kind
}
