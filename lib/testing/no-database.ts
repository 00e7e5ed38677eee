import { PgPubSubError } from '../common/errors.js';

/** What needs a database, in a test that has none. */
export const noDatabase = (what: string): PgPubSubError =>
  new PgPubSubError(
    'DATA_SOURCE_UNUSABLE',
    `expected nothing that needs a database under PgPubSubTestingModule, got ${what}. ` +
      'Replace what asks for it, or test it on a real database, with PgPubSubModule and drain().',
  );
