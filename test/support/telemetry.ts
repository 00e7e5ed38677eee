import { context, metrics, trace, type SpanContext } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
  type DataPoint,
  type Histogram,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
  type Sampler,
} from '@opentelemetry/sdk-trace-base';
import { eventually } from './mailbox.js';

const NEVER_MS = 2 ** 31 - 1;

/**
 * A value of a metric for one set of attributes: the sum of a counter, or the number of
 * measurements of a histogram.
 */
export interface Recorded {
  readonly name: string;
  readonly unit: string;
  /** The sum of a counter, or the number of measurements of a histogram. */
  readonly value: number;
  /** The sum of the measurements of a histogram. */
  readonly sum: number;
  readonly attributes: Record<string, unknown>;
}

/**
 * The OpenTelemetry SDK as an application registers it, with exporters that keep all records;
 * unregistered when disposed of.
 */
export class Telemetry implements AsyncDisposable {
  private readonly exporter = new InMemorySpanExporter();
  private readonly metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  private readonly tracers: BasicTracerProvider;
  private readonly meters: MeterProvider;

  constructor(sampler?: Sampler) {
    const spanProcessors = [new SimpleSpanProcessor(this.exporter)];
    this.tracers = new BasicTracerProvider({ spanProcessors, ...(sampler && { sampler }) });
    const reader = new PeriodicExportingMetricReader({
      exporter: this.metricExporter,
      exportIntervalMillis: NEVER_MS,
    });
    this.meters = new MeterProvider({ readers: [reader] });
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    trace.setGlobalTracerProvider(this.tracers);
    metrics.setGlobalMeterProvider(this.meters);
  }

  /** Runs the work in a span of the application; resolves with that span. */
  async inSpan(work: () => Promise<unknown>): Promise<SpanContext> {
    return trace.getTracer('application').startActiveSpan('request', async (span) => {
      await work();
      span.end();
      return span.spanContext();
    });
  }

  get spans(): readonly ReadableSpan[] {
    return this.exporter.getFinishedSpans();
  }

  /** The finished spans of that name, when there is at least that number of them. */
  async named(name: string, count = 1): Promise<ReadableSpan[]> {
    const named = () => this.spans.filter((span) => span.name === name);
    await eventually(() => named().length >= count, `${count} spans "${name}" have ended`);
    return named();
  }

  /** The only span of that name. */
  async one(name: string): Promise<ReadableSpan> {
    const [span, ...more] = await this.named(name);
    if (span === undefined || more.length > 0)
      throw new Error(`expected one span "${name}", got ${more.length + 1}`);
    return span;
  }

  /** Everything that metrics have recorded so far. */
  async recorded(): Promise<Recorded[]> {
    await this.meters.forceFlush();
    const scopes = this.metricExporter.getMetrics().at(-1)?.scopeMetrics ?? [];
    return scopes.flatMap((scope) =>
      scope.metrics.flatMap(({ descriptor, dataPoints }) =>
        (dataPoints as DataPoint<number | Histogram>[]).map(({ value, attributes }) => ({
          name: descriptor.name,
          unit: descriptor.unit,
          value: typeof value === 'number' ? value : value.count,
          sum: typeof value === 'number' ? value : (value.sum ?? 0),
          attributes,
        })),
      ),
    );
  }

  /** The scopes that have recorded metrics so far, as `name version`. */
  async meterScopes(): Promise<string[]> {
    await this.meters.forceFlush();
    const scopes = this.metricExporter.getMetrics().at(-1)?.scopeMetrics ?? [];
    return scopes.map(({ scope }) => `${scope.name} ${scope.version}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    trace.disable();
    metrics.disable();
    context.disable();
    await this.tracers.shutdown();
    await this.meters.shutdown();
  }
}

/** The ids of the spans to which a span is linked. */
export const linksOf = (span: ReadableSpan): string[] => span.links.map((link) => link.context.spanId);

export const idOf = (span: ReadableSpan): string => span.spanContext().spanId;

/** The `traceparent` of a sampled span. */
export const traceparentOf = ({ traceId, spanId }: SpanContext): string => `00-${traceId}-${spanId}-01`;
