import type { PgPubSubError } from '../common/errors.js';

/** A statement and what undoes it; one of them may be nothing. Steps are undone in the reverse order. */
export interface Step {
  readonly up?: string;
  readonly down?: string;
  /** Of what fails because of a declaration: what the error of the server means. */
  readonly refused?: (cause: unknown) => PgPubSubError;
}

/** How one object differs from its declaration. */
export interface Difference {
  readonly kind: 'missing' | 'drifted' | 'disabled' | 'obsolete';
  readonly object: string;
}
