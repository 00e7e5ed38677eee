import type { Attributes } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base';
import { PubSubMetrics } from '../../../lib/observability/pubsub.metrics.js';
import { PubSubTracing } from '../../../lib/observability/pubsub.tracing.js';

const NEVER_MS = 2 ** 31 - 1;

export interface Measured {
  readonly name: string;
  readonly attributes: Attributes;
}

/** Returns the metrics that `act` records. The SDK is not registered globally. */
export async function measured(
  act: (metrics: PubSubMetrics) => unknown,
  { instance = 'default', named = ['orders'] } = {},
): Promise<Measured[]> {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: NEVER_MS });
  const provider = new MeterProvider({ readers: [reader] });
  const isNamed = (channel: string) => named.includes(channel);
  await act(new PubSubMetrics({ meter: provider.getMeter('test'), instance, isNamed }));
  await provider.forceFlush();
  const recorded = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics);
  await provider.shutdown();
  return recorded.flatMap(({ metrics }) =>
    metrics.flatMap(({ descriptor, dataPoints }) =>
      dataPoints.map(({ attributes }) => ({ name: descriptor.name, attributes })),
    ),
  );
}

/** Returns the spans that `act` ends. The SDK is not registered globally. */
export async function traced(
  act: (tracing: PubSubTracing) => unknown,
  { instance = 'default', named = ['orders'] } = {},
): Promise<readonly ReadableSpan[]> {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const isNamed = (channel: string) => named.includes(channel);
  await act(new PubSubTracing({ tracer: provider.getTracer('test'), instance, isNamed }));
  return exporter.getFinishedSpans();
}

/** A stored notification with the properties that telemetry reads. */
export const storedNotification = (context: object = {}) =>
  ({ id: '7', attempt: 2, createdAt: new Date(0), channel: 'orders', payload: 1, context }) as never;

/** The notifications of a batch. */
export const storedBatch = (...contexts: object[]) =>
  contexts.map((context) => storedNotification(context)) as never;
