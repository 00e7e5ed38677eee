import { PgPubSubError } from '../common/errors.js';

/** Throws `DUPLICATE_INSTANCE` when several instances of the application have the name. */
export function assertUnique(name: string, names: readonly string[]): void {
  if (names.filter((other) => other === name).length <= 1) return;
  throw new PgPubSubError(
    'DUPLICATE_INSTANCE',
    `expected PgPubSubModule.forRoot() once per name, got it twice for "${name}". ` +
      'Register it in one module, which is global, or give the second one a name of its own.',
  );
}

/** Throws `UNKNOWN_INSTANCE` when no instance of the application has the name that `asker` gives. */
export function assertInstance(name: string, names: readonly string[], asker: string): void {
  if (names.includes(name)) return;
  throw new PgPubSubError(
    'UNKNOWN_INSTANCE',
    `${asker}: expected the name of an instance (${names.join(', ')}), got "${name}". ` +
      `Register it with PgPubSubModule.forRoot({ name: '${name}' }).`,
  );
}
