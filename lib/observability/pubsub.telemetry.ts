import { ProxyTracer, createNoopMeter, metrics, trace } from '@opentelemetry/api';
import type { Invoke } from '../channels/notification.js';
import type { PubSubEvent } from '../common/events.js';
import type { JsonObject } from '../common/json.js';
import { VERSION } from '../common/version.js';
import { UNTRACED, type CallTrace } from '../publishing/publisher.js';
import { ChannelNames } from './channel-names.js';
import type { HandledBy } from './handling.js';
import { PubSubMetrics } from './pubsub.metrics.js';
import { PubSubTracing } from './pubsub.tracing.js';

/** OpenTelemetry's instrumentation scope. */
const SCOPE = 'nestjs-pgpubsub';

export interface TelemetryOptions {
  readonly name: string;
  /** Whether notifications carry the trace context of their sender. */
  readonly traceContext: boolean;
  readonly isDefined: (channel: string) => boolean;
}

/**
 * Records metrics and traces through OpenTelemetry. Records nothing unless the application has
 * registered an SDK before Nest creates its providers. Owned by the instance, and lives as long.
 */
export class PubSubTelemetry {
  private readonly names: ChannelNames;
  private metrics: PubSubMetrics | undefined;
  private tracing: PubSubTracing | undefined;

  constructor(private readonly options: TelemetryOptions) {
    this.names = new ChannelNames(options.isDefined);
  }

  /** A meter, unlike a tracer, cannot be created before its provider. */
  start(): void {
    const common = { instance: this.options.name, isNamed: (channel: string) => this.names.has(channel) };
    const meter = metrics.getMeter(SCOPE, VERSION);
    const tracer = trace.getTracer(SCOPE, VERSION);
    if (meter !== createNoopMeter()) this.metrics = new PubSubMetrics({ ...common, meter });
    if (!(tracer instanceof ProxyTracer)) this.tracing = new PubSubTracing({ ...common, tracer }); // a proxy: no SDK is registered
  }

  /** Lets metrics name the channel, which is written in the code. */
  name(channel: string): void {
    this.names.add(channel);
  }

  record(event: PubSubEvent): void {
    this.metrics?.record(event);
  }

  sending(channel: string, count: number, send: (trace: CallTrace) => Promise<void>): Promise<void> {
    const { tracing } = this;
    if (tracing === undefined || count === 0) return send(UNTRACED);
    const caller = this.traceContext();
    return tracing.sending(channel, count, (span) =>
      send(this.options.traceContext ? { call: span, caller } : UNTRACED),
    );
  }

  handling(by: HandledBy, invoke: Invoke): Invoke {
    const timed = this.metrics?.timed(by, invoke) ?? invoke;
    return this.tracing?.handling(by, timed) ?? timed;
  }

  get isTracing(): boolean {
    return this.options.traceContext && this.tracing !== undefined;
  }

  /** Returns the caller's position in a trace, for the context of notifications. */
  traceContext(): JsonObject | undefined {
    return this.options.traceContext ? this.tracing?.current() : undefined;
  }
}
