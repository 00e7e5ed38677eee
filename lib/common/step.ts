import type { PgPubSubError } from './errors.js';

/** A statement and its way back; one of them may be missing. Ways back run in the reverse order. */
export interface Step {
  readonly up?: string;
  readonly down?: string;
  /** Makes an error of the declaration out of the server's error. */
  readonly refused?: (cause: unknown) => PgPubSubError;
}

/** How one object differs from its declaration. */
export interface Difference {
  readonly kind: 'missing' | 'drifted' | 'disabled' | 'obsolete';
  readonly object: string;
  /** Whether somebody changed it by hand, so that no migration repairs it. */
  readonly byHand?: true;
}
