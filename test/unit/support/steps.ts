import type { Step } from '../../../lib/common/step.js';

/** The statements of the up migration. */
export const ups = (steps: readonly Step[]) => steps.flatMap(({ up }) => up ?? []);

/** The statements of the down migration, in the order in which they run. */
export const downs = (steps: readonly Step[]) => steps.toReversed().flatMap(({ down }) => down ?? []);
