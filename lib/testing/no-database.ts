import { PgPubSubError } from '../common/errors.js';

export const noDatabase = (what: string): PgPubSubError =>
  new PgPubSubError(
    'DATA_SOURCE_UNUSABLE',
    `expected no use of a database under PgPubSubTestingModule, got ${what}. ` +
      'Replace the provider that needs it, or use PgPubSubModule and drain() on a real database.',
  );
