import { TraceFlags, createTraceState, isSpanContextValid, type SpanContext } from '@opentelemetry/api';
import type { JsonObject } from '../common/json.js';

/** https://www.w3.org/TR/trace-context/#traceparent-header-field-values; later versions may add fields. */
const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-(?<traceId>[0-9a-f]{32})-(?<spanId>[0-9a-f]{16})-(?<flags>[0-9a-f]{2})(?:-|$)/;

/** What W3C lets anybody cut off. */
const MAX_TRACESTATE_LENGTH = 512;

/**
 * A span as members of a notification's context, `traceparent` and `tracestate` as W3C Trace Context writes them:
 * whichever propagator the application has registered, sender and receiver understand each other. Nothing for spans
 * that are not sampled: a link to one leads nowhere.
 */
export function encodeTraceContext(span: SpanContext | undefined): JsonObject | undefined {
  if (span === undefined || !isSampled(span) || !isSpanContextValid(span)) return undefined;
  const flags = span.traceFlags.toString(16).padStart(2, '0');
  const traceparent = `00-${span.traceId}-${span.spanId}-${flags}`;
  const tracestate = span.traceState?.serialize() ?? '';
  return tracestate === '' || tracestate.length > MAX_TRACESTATE_LENGTH
    ? { traceparent }
    : { traceparent, tracestate };
}

/** The reverse. `undefined` where there is none, or none that is valid: contexts may come from anybody. */
export function decodeTraceContext({ traceparent, tracestate }: JsonObject): SpanContext | undefined {
  if (typeof traceparent !== 'string') return undefined;
  const { traceId, spanId, flags } = TRACEPARENT.exec(traceparent)?.groups ?? {};
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const span = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  if (!isSpanContextValid(span)) return undefined; // all zeros
  return typeof tracestate === 'string' ? { ...span, traceState: createTraceState(tracestate) } : span;
}

const isSampled = ({ traceFlags }: SpanContext): boolean => (traceFlags & TraceFlags.SAMPLED) !== 0;
