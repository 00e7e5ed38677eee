import { PgPubSubError } from '../common/errors.js';
import { isName, isSymbol, sqlTokens } from '../postgres/sql-tokens.js';
import type { CatalogTable } from './trigger.catalog.js';
import type { ResolvedTrigger } from './trigger.resolver.js';

/** Throws `INVALID_TRIGGER` for missing columns, which a trigger would silently leave out. */
export function assertColumns({ what, table, ...trigger }: ResolvedTrigger, { columns }: CatalogTable): void {
  const named = [...(trigger.columns ?? []), ...trigger.exclude, ...trigger.of, ...trigger.primaryKey];
  const unknown = named.find((name) => !columns.includes(name));
  if (unknown === undefined) return;
  throw new PgPubSubError(
    'INVALID_TRIGGER',
    `${what}: expected columns of "${table}" (${columns.join(', ')}), got "${unknown}". ` +
      'Use the exact names of the database.',
  );
}

/**
 * Throws `INVALID_TRIGGER` for a statement trigger that would miss changes: it fires only for the
 * table that the statement names, which is the partitioned table or one partition.
 */
export function assertSeesAll({ what, level, on, table }: ResolvedTrigger, found: CatalogTable): void {
  if (level === 'row' || on.every((operation) => operation === 'truncate')) return;
  if (!found.partitioned && !found.partition) return;
  const [kind, missed] = found.partitioned
    ? ['is partitioned', 'to a partition directly']
    : ['is a partition', 'through the partitioned table'];
  throw new PgPubSubError(
    'INVALID_TRIGGER',
    `${what}: expected level "row", got "statement" for the table "${table}", which ${kind}: ` +
      `what is written ${missed} would be missed. Leave "level" out.`,
  );
}

/**
 * Throws `INVALID_TRIGGER` for virtual generated columns in the condition of a statement trigger,
 * whose function sees null in them. The WHEN clause of a row trigger sees their values.
 */
export function assertComputed({ what, level, of, when }: ResolvedTrigger, { virtual }: CatalogTable): void {
  if (level === 'row') return;
  const named: readonly (readonly [string, string | undefined])[] = [
    ['of', virtual.find((name) => of.includes(name))],
    ['when', virtual.find((name) => namesColumn(when ?? '', name))],
  ];
  const [option, column] = named.find(([, found]) => found !== undefined) ?? [];
  if (column === undefined) return;
  throw new PgPubSubError(
    'INVALID_TRIGGER',
    `${what}: expected "${option}" without virtual generated columns at level "statement", got "${column}": ` +
      'PostgreSQL does not compute them there. Leave "level" out, or make the column STORED.',
  );
}

/** Whether the condition names a column, as in `NEW.total`. */
function namesColumn(condition: string, column: string): boolean {
  const tokens = [...sqlTokens(condition, { backslashes: false })];
  return tokens.some((token, at) => isName(token) && token.text === column && isSymbol(tokens[at - 1], '.'));
}
