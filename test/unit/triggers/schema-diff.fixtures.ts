import { ANY_CHANGE, PRINTED_ANY_CHANGE } from '../../../lib/triggers/condition.js';
import { generatedFunctions } from '../../../lib/triggers/generated-function.sql.js';
import { commentOf } from '../../../lib/triggers/owner.js';
import { diffSchema, type SchemaDiff } from '../../../lib/triggers/schema-diff.js';
import type { Catalog, CatalogFunction, CatalogTrigger } from '../../../lib/triggers/trigger.catalog.js';
import type { ResolvedTrigger } from '../../../lib/triggers/trigger.resolver.js';
import {
  createTrigger,
  operationTriggers,
  type OperationTrigger,
} from '../../../lib/triggers/trigger.sql.js';

export const OWNER = 'public.migrations';
export const SERVER = 180_000;
export const ROW_BIT = 1;
export const BITS = { insert: 4, delete: 8, update: 16, truncate: 32 };

/** The arguments of a trigger as the catalog stores them. */
export function hex(...texts: string[]): string {
  return Buffer.from(texts.map((text) => `${text}\0`).join('')).toString('hex');
}

/** Returns the row of the catalog for a created trigger. */
function inCatalog(one: OperationTrigger): CatalogTrigger {
  const { schema, table, name, operation, perRow, condition } = one;
  return {
    schema, table, name,
    function_name: one.functionName,
    function_schema: one.functionSchema,
    type: BITS[operation] + (perRow ? ROW_BIT : 0),
    enabled: 'O',
    old_table: one.oldTable,
    new_table: one.newTable,
    plain: true,
    condition: condition === undefined ? null : condition === ANY_CHANGE ? PRINTED_ANY_CHANGE : `(as PostgreSQL writes ${condition})`,
    arguments: hex(...one.arguments),
    definition: createTrigger(one),
    comment: one.comment,
    owned: true,
  };
} // prettier-ignore

/** Returns the catalog after the migrations of the declarations. */
export function catalogOf(wanted: readonly ResolvedTrigger[], owner = OWNER): Catalog {
  return {
    serverVersion: SERVER,
    triggers: wanted.flatMap((one) => operationTriggers(one, owner)).map(inCatalog),
    functions: wanted.flatMap((one) => generatedFunctions(one, SERVER)).map((one) => ({
      schema: one.schema,
      name: one.name,
      body: one.body,
      settings: one.settings,
      plain: true,
      identity: one.identity,
      definition: one.create,
      comment: commentOf(owner),
      owned: true,
      trusted: true,
    })),
  }; // prettier-ignore
}

export const withTriggers = (
  catalog: Catalog,
  change: (one: CatalogTrigger) => Partial<CatalogTrigger>,
): Catalog => ({
  ...catalog,
  triggers: catalog.triggers.map((one) => ({ ...one, ...change(one) })),
});
export const withFunctions = (catalog: Catalog, given: Partial<CatalogFunction>): Catalog => ({
  ...catalog,
  functions: catalog.functions.map((one) => ({ ...one, ...given })),
});

export const EMPTY = catalogOf([]);
export const diff = (wanted: readonly ResolvedTrigger[], catalog: Catalog): SchemaDiff =>
  diffSchema(wanted, catalog, OWNER);

/** The verb and the object of a statement. */
export const verbOf = (text: string) =>
  text.startsWith('do')
    ? 'do'
    : text
        .replaceAll('\n', ' ')
        .replace(/ (?:or replace )?(function|trigger) ("\S+").*$/, ' $1 $2')
        .replace(/ is .*$/, '');
export const kinds = ({ differences }: SchemaDiff) =>
  differences.map(({ kind, object }) => `${kind}: ${object}`);
