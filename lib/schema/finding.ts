import type { Difference, Step } from './step.js';

/** A difference, and what mends it. */
export interface Finding extends Difference {
  /** Before columns change: what may depend on them. */
  readonly before?: readonly Step[];
  readonly steps: readonly Step[];
}

export const finding = (
  kind: Difference['kind'],
  object: string,
  steps: readonly Step[],
  before: readonly Step[] = [],
): Finding => ({ kind, object, steps, before });

/** All that is to be done, in order. */
export const stepsOf = (findings: readonly Finding[]): Step[] => [
  ...findings.flatMap(({ before = [] }) => before),
  ...findings.flatMap(({ steps }) => steps),
];
