/** The ways to handle a broadcast when the buffer of its receiver is full. */
export const OVERFLOW_POLICIES = ['drop-oldest', 'drop-newest', 'error'] as const;

/** `'drop-oldest'`, `'drop-newest'` or `'error'`: see `overflow` of {@link BufferOptions}. */
export type OverflowPolicy = (typeof OVERFLOW_POLICIES)[number];

export interface BufferLimits {
  readonly maxSize: number;
  readonly overflow: OverflowPolicy;
}
