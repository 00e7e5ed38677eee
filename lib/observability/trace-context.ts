import { TraceFlags, createTraceState, isSpanContextValid, type SpanContext } from '@opentelemetry/api';
import type { JsonObject } from '../common/json.js';

// https://www.w3.org/TR/trace-context/#traceparent-header-field-values
// later versions may add fields
const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-(?<traceId>[0-9a-f]{32})-(?<spanId>[0-9a-f]{16})-(?<flags>[0-9a-f]{2})(?:-|$)/;

/** The length from which on W3C allows every participant to drop `tracestate`. */
const MAX_TRACESTATE_LENGTH = 512;

/**
 * Encodes a span as the members `traceparent` and `tracestate` (W3C Trace Context) of a context,
 * independent of the propagators that the applications have registered. Returns `undefined` for a
 * span that is not sampled, because a link to it leads nowhere.
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

/** Returns `undefined` without a valid span, because any program may send a context. */
export function decodeTraceContext({ traceparent, tracestate }: JsonObject): SpanContext | undefined {
  if (typeof traceparent !== 'string') return undefined;
  const { traceId, spanId, flags } = TRACEPARENT.exec(traceparent)?.groups ?? {};
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const span = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  if (!isSpanContextValid(span)) return undefined; // all zeros
  return typeof tracestate === 'string' ? { ...span, traceState: createTraceState(tracestate) } : span;
}

const isSampled = ({ traceFlags }: SpanContext): boolean => (traceFlags & TraceFlags.SAMPLED) !== 0;
