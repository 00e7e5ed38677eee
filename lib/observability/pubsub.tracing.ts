import {
  SpanKind,
  SpanStatusCode,
  context,
  trace,
  type Attributes,
  type Link,
  type Span,
  type Tracer,
} from '@opentelemetry/api';
import type { Delivered, Invoke, Notification } from '../channels/notification.js';
import { messageOf } from '../common/errors.js';
import type { JsonObject } from '../common/json.js';
import {
  ATTEMPT,
  BATCH_SIZE,
  CHANNEL,
  ERROR_TYPE,
  LISTENER,
  MESSAGE_ID,
  OPERATION,
  OPERATION_TYPE,
  attributesOfInstance,
} from './attributes.js';
import { errorTypeOf } from './error-type.js';
import { isBatch, notificationsOf, type HandledBy } from './handling.js';
import { decodeTraceContext, encodeTraceContext } from './trace-context.js';

export interface TracingOptions {
  readonly tracer: Tracer;
  readonly instance: string;
  /** Whether the name of a span may contain this channel. */
  readonly isNamed: (channel: string) => boolean;
}

/**
 * Creates a span around each call that sends, and one around each call of a listener, linked to the
 * spans of the senders. Owned by the telemetry; lives as long as the instance.
 */
export class PubSubTracing {
  private readonly common: Attributes;

  constructor(private readonly options: TracingOptions) {
    this.common = attributesOfInstance(options.instance);
  }

  /** Returns the active span of the caller as members of a context. */
  current(): JsonObject | undefined {
    return encodeTraceContext(trace.getActiveSpan()?.spanContext());
  }

  /** Calls `send` within a span, with that span as members of a context. */
  sending<T>(channel: string, count: number, send: (span: JsonObject | undefined) => Promise<T>): Promise<T> {
    const span = this.startSpan('send', channel, SpanKind.PRODUCER, count > 1 ? { [BATCH_SIZE]: count } : {});
    return within(span, () => send(encodeTraceContext(span.spanContext())));
  }

  /**
   * Wraps the handler so that each call runs in a span that starts a trace: handling is not part of
   * the sender's work, and a batch has many senders.
   */
  handling({ channel, listener }: HandledBy, invoke: Invoke): (delivered: Delivered) => Promise<unknown> {
    return (delivered) => {
      const attributes = { [LISTENER]: listener, ...attributesOf(delivered) };
      const links = notificationsOf(delivered).flatMap(linkTo);
      const span = this.startSpan('process', channel, SpanKind.CONSUMER, attributes, links);
      return within(span, async () => invoke(delivered));
    };
  }

  private startSpan(
    operation: 'send' | 'process',
    channel: string,
    kind: SpanKind,
    more: Attributes,
    links?: Link[],
  ): Span {
    const { tracer, isNamed } = this.options;
    const name = isNamed(channel) ? `${operation} ${channel}` : operation;
    const attributes = {
      ...this.common,
      [OPERATION]: operation,
      [OPERATION_TYPE]: operation,
      [CHANNEL]: channel,
      ...more,
    };
    // a span that was active at the start of the application must not be the parent of all handling
    const root = operation === 'process';
    return tracer.startSpan(name, { kind, root, attributes, ...(links && { links }) });
  }
}

async function within<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await context.with(trace.setSpan(context.active(), span), work);
  } catch (error) {
    span.recordException(error instanceof Error ? error : messageOf(error));
    span.setAttribute(ERROR_TYPE, errorTypeOf(error));
    span.setStatus({ code: SpanStatusCode.ERROR, message: messageOf(error) });
    throw error;
  } finally {
    span.end();
  }
}

function attributesOf(delivered: Delivered): Attributes {
  if (isBatch(delivered)) return { [BATCH_SIZE]: delivered.length };
  const { id, attempt } = delivered;
  return id === null ? {} : { [MESSAGE_ID]: id, [ATTEMPT]: attempt };
}

function linkTo({ id, context }: Notification): Link[] {
  const sender = decodeTraceContext(context);
  if (sender === undefined) return [];
  return [{ context: sender, ...(id !== null && { attributes: { [MESSAGE_ID]: id } }) }];
}
