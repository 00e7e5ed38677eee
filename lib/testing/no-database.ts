import { PgPubSubError } from '../common/errors.js';

export const noDatabase = (what: string): PgPubSubError =>
  new PgPubSubError(
    'DATA_SOURCE_UNUSABLE',
    `${what} needs a database, and there is none under PgPubSubTestingModule. ` +
      'Replace the provider that needs it, or use PgPubSubModule and drain() on a real database.',
  );
