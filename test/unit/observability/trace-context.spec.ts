import { TraceFlags, createTraceState } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { decodeTraceContext, encodeTraceContext } from '../../../lib/observability/trace-context.js';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const sampled = { traceId, spanId, traceFlags: TraceFlags.SAMPLED };
const traceparent = `00-${traceId}-${spanId}-01`;

describe('encodeTraceContext()', () => {
  it('returns a span in the format of W3C Trace Context', () => {
    expect(encodeTraceContext(sampled)).toEqual({ traceparent });
  });

  it('includes the trace state of vendors', () => {
    const traceState = createTraceState('vendor=a,other=b');
    expect(encodeTraceContext({ ...sampled, traceState })).toEqual({
      traceparent,
      tracestate: 'vendor=a,other=b',
    });
  });

  it('omits a trace state that is too long', () => {
    const traceState = createTraceState(`a=${'x'.repeat(250)},b=${'x'.repeat(250)}`).set(
      'c',
      'x'.repeat(250),
    );
    expect(encodeTraceContext({ ...sampled, traceState })).toEqual({ traceparent });
  });

  it.each([
    ['no span', undefined],
    ['a span that is not sampled', { ...sampled, traceFlags: TraceFlags.NONE }],
    ['an invalid span', { ...sampled, spanId: '0000000000000000' }],
  ])('returns undefined for %s', (_what, span) => {
    expect(encodeTraceContext(span)).toBeUndefined();
  });
});

describe('decodeTraceContext()', () => {
  it('reads the output of encodeTraceContext()', () => {
    const traceState = createTraceState('vendor=a');
    const decoded = decodeTraceContext(encodeTraceContext({ ...sampled, traceState }) ?? {});

    expect(decoded).toMatchObject({ ...sampled, isRemote: true });
    expect(decoded?.traceState?.serialize()).toBe('vendor=a');
  });

  it.each([
    ['a span that was not sampled', `00-${traceId}-${spanId}-00`],
    ['a later version with more fields', `01-${traceId}-${spanId}-01-more`],
  ])('reads %s', (_what, text) => {
    expect(decodeTraceContext({ traceparent: text })).toMatchObject({ traceId, spanId });
  });

  it.each([
    undefined,
    null,
    42,
    '',
    'mine',
    `${traceparent}x`,
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
  ])('returns undefined for %j', (given) => {
    expect(decodeTraceContext({ traceparent: given })).toBeUndefined();
  });

  it('ignores a trace state that is not a text', () => {
    expect(decodeTraceContext({ traceparent, tracestate: { vendor: 'a' } })).toEqual({
      ...sampled,
      isRemote: true,
    });
  });
});
