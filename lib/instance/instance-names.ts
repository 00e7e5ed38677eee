import { PgPubSubError } from '../common/errors.js';

/** Throws `DUPLICATE_INSTANCE` if several instances of the application have the name. */
export function assertUnique(name: string, names: readonly string[]): void {
  if (names.filter((other) => other === name).length <= 1) return;
  throw new PgPubSubError(
    'DUPLICATE_INSTANCE',
    `expected PgPubSubModule.forRoot() once per name, got it twice for "${name}". ` +
      'Register it once, in the root module (it is global), or give the second one a name of its own.',
  );
}

/** Throws `UNKNOWN_INSTANCE` if no instance of the application has the name that `user` gives. */
export function assertInstance(name: string, names: readonly string[], user: string): void {
  if (names.includes(name)) return;
  throw new PgPubSubError(
    'UNKNOWN_INSTANCE',
    `${user}: expected the name of an instance (${names.join(', ')}), got "${name}". ` +
      `Register it with PgPubSubModule.forRoot({ name: '${name}' }).`,
  );
}
