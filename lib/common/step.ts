import type { PgPubSubError } from './errors.js';

/** A statement and its reverse; one of them may be missing. Reverses run in the reverse order. */
export interface Step {
  readonly up?: string;
  readonly down?: string;
  /** Turns the server's error into an error of the declaration. */
  readonly refused?: (cause: unknown) => PgPubSubError;
}

/** A difference between one object and its declaration. */
export interface Difference {
  readonly kind: 'missing' | 'drifted' | 'disabled' | 'obsolete';
  readonly object: string;
  /** Whether the object was changed by hand, so that no migration repairs it. */
  readonly byHand?: true;
}
