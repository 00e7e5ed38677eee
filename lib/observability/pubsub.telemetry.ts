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

/** Of what we record, as OpenTelemetry calls it: the instrumentation scope. */
const SCOPE = 'nestjs-pgpubsub';

export interface TelemetryOptions {
  /** Of the module. */
  readonly name: string;
  /** Do notifications carry the trace context of who sends them? */
  readonly traceContext: boolean;
  /** Does the application have a definition of this channel? */
  readonly isDefined: (channel: string) => boolean;
}

/**
 * What is recorded through OpenTelemetry, if the application has registered an SDK by the time its providers are made;
 * else nothing at all is, and nothing is asked again. Owned by the module, lives as long as it.
 */
export class PubSubTelemetry {
  private readonly names: ChannelNames;
  private metrics: PubSubMetrics | undefined;
  private tracing: PubSubTracing | undefined;

  constructor(private readonly options: TelemetryOptions) {
    this.names = new ChannelNames(options.isDefined);
  }

  /** Looks who is there to record for: meters, unlike tracers, cannot be had before their provider. */
  start(): void {
    const common = { instance: this.options.name, isNamed: (channel: string) => this.names.has(channel) };
    const meter = metrics.getMeter(SCOPE, VERSION);
    const tracer = trace.getTracer(SCOPE, VERSION);
    if (meter !== createNoopMeter()) this.metrics = new PubSubMetrics({ ...common, meter });
    if (!(tracer instanceof ProxyTracer)) this.tracing = new PubSubTracing({ ...common, tracer }); // one stands for none
  }

  /** The channel stands in the code: it may be called by name. */
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

  /** The same handler, recorded. */
  handling(by: HandledBy, invoke: Invoke): Invoke {
    const timed = this.metrics?.timed(by, invoke) ?? invoke;
    return this.tracing?.handling(by, timed) ?? timed;
  }

  /** Do notifications carry traces? */
  get isTracing(): boolean {
    return this.options.traceContext && this.tracing !== undefined;
  }

  /** Where the caller is in a trace, for notifications that are sent in its name. */
  traceContext(): JsonObject | undefined {
    return this.options.traceContext ? this.tracing?.current() : undefined;
  }
}
