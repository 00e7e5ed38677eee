/** Renders a number with its noun: `1 dead letter`, `2 dead letters`. */
export const counted = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;

/** Renders a delay for people: `250 ms`, `1.5 s`. */
export const renderDelay = (ms: number): string =>
  ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
