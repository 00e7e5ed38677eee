/** What users need in their own tests. */
export const PENDING = true;
