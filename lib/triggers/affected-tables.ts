import { quoteIdentifier } from '../common/sql-identifier.js';
import type { SchemaStatements } from '../postgres/schema-builder.js';
import type { Rebuild } from './schema-diff.js';

/**
 * Whether a migration changes what a trigger or a function depends on: columns of its table, or a type that its definition
 * names. A new column concerns none of them, neither on the way back; neither do defaults and NOT NULL.
 */
export function isAffected(rebuild: Rebuild, { up, down }: SchemaStatements): boolean {
  const table = quoteIdentifier(rebuild.table);
  const names = (text: string) => text.includes(table);
  return (
    up.some(
      ({ query }) =>
        (names(query) && (CHANGES.test(query) || RETYPES.test(query))) || isOfType(rebuild, query),
    ) ||
    // a value is added to an enum without the table, and taken back with it
    down.some(({ query }) => names(query) && RETYPES.test(query))
  );
}

const CHANGES = /\b(?:drop\s+column|rename)\b/i;
const RETYPES = /\balter\s+column\s+"(?:[^"]|"")+"\s+(?:set\s+data\s+)?type\b/i;
const OF_TYPE = /^\s*(?:alter|drop)\s+type\s+(?:"(?:[^"]|"")+"\.)?"(?<name>(?:[^"]|"")+)"/i;

/** Whether a statement changes or drops a type that the object names, as it is in the catalog. */
function isOfType({ before }: Rebuild, query: string): boolean {
  const name = OF_TYPE.exec(query)?.groups?.['name'];
  return name !== undefined && before.some(({ down = '' }) => down.includes(name));
}
