import { ValueType, type Counter, type Histogram, type Meter } from '@opentelemetry/api';

/** What a metric is; `docs/events.md` lists them all. */
interface MetricDefinition {
  readonly kind: 'counter' | 'histogram';
  readonly unit: string;
  readonly description: string;
  /** Of histograms: the bounds of their buckets, unless a view of the application says otherwise. */
  readonly buckets?: number[];
}

/** As the OpenTelemetry conventions advise for messaging. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
/** A notification may have waited for a weekend. */
const LONG_SECONDS = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1_800, 3_600, 21_600, 86_400];
const ROWS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000];

const counter = (unit: string, description: string) => ({ kind: 'counter', unit, description }) as const;
const histogram = (unit: string, description: string, buckets: number[]) =>
  ({ kind: 'histogram', unit, description, buckets }) as const;

/** Every metric, by name: those of the OpenTelemetry messaging conventions where there is one, else `pgpubsub.…`. */
export const METRICS = {
  'messaging.client.sent.messages': counter(
    '{message}',
    'Notifications that notify() and notifyMany() have tried to send or store.',
  ),
  'messaging.client.operation.duration': histogram(
    's',
    'Time a call of notify() or notifyMany() took until the server had taken it.',
    SECONDS,
  ),
  'messaging.client.consumed.messages': counter(
    '{message}',
    'Broadcasts that have arrived, and stored notifications that have been claimed.',
  ),
  'messaging.process.duration': histogram('s', 'Time a listener took, once per call of its method.', SECONDS),
  'pgpubsub.notifications.handled': counter(
    '{notification}',
    'Notifications a listener has handled; stored ones once that is committed.',
  ),
  'pgpubsub.notifications.failed': counter('{notification}', 'Notifications a listener has failed with.'),
  'pgpubsub.notifications.retried': counter(
    '{notification}',
    'Failures with a stored notification after which it is tried again.',
  ),
  'pgpubsub.notifications.dead': counter('{notification}', 'Stored notifications that became dead letters.'),
  'pgpubsub.notifications.dropped': counter(
    '{notification}',
    'Broadcasts that a receiver never got, because it was too slow or the application closed.',
  ),
  'pgpubsub.notifications.rejected': counter(
    '{notification}',
    'Broadcasts that could not be decoded, or that a schema refused.',
  ),
  'pgpubsub.notifications.interrupted': counter(
    '{notification}',
    'Stored notifications whose process or connection ended while they were handled.',
  ),
  'pgpubsub.notification.age': histogram(
    's',
    'Time from when a notification was stored until a listener had handled it.',
    LONG_SECONDS,
  ),
  'pgpubsub.claim.size': histogram('{notification}', 'Stored notifications that a claim had locked.', ROWS),
  'pgpubsub.claim.duration': histogram('s', 'Time a claim took from its begin to its commit.', SECONDS),
  'pgpubsub.claim.failures': counter('{claim}', 'Claims that were undone, or could not be made.'),
  'pgpubsub.gaps': counter('{gap}', 'Times in which broadcasts may have been missed.'),
  'pgpubsub.reconnects': counter('{reconnect}', 'Times the LISTEN connection was lost and opened again.'),
} as const satisfies Record<string, MetricDefinition>;

type MetricName = keyof typeof METRICS;
/** The names of the metrics of one kind. */
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
