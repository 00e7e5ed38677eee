import { quoteIdentifier } from '../common/sql-identifier.js';
import type { SchemaStatements } from '../postgres/schema-builder.js';
import type { Rebuild } from './schema-diff.js';

/**
 * Whether a migration changes a dependency of a trigger or function: columns of its table, or a
 * type in its definition. New columns, defaults and NOT NULL do not matter, nor does undoing them.
 */
export function isAffected(rebuild: Rebuild, { up, down }: SchemaStatements): boolean {
  const table = quoteIdentifier(rebuild.table);
  const names = (text: string) => text.includes(table);
  return (
    up.some(
      ({ query }) =>
        (names(query) && (CHANGES.test(query) || RETYPES.test(query))) || isOfType(rebuild, query),
    ) ||
    // adding a value to an enum does not name the table; undoing it does
    down.some(({ query }) => names(query) && RETYPES.test(query))
  );
}

const CHANGES = /\b(?:drop\s+column|rename)\b/i;
const RETYPES = /\balter\s+column\s+"(?:[^"]|"")+"\s+(?:set\s+data\s+)?type\b/i;
const OF_TYPE = /^\s*(?:alter|drop)\s+type\s+(?:"(?:[^"]|"")+"\.)?"(?<name>(?:[^"]|"")+)"/i;

/** Whether a statement changes or drops a type in the definition of the object. */
function isOfType({ before }: Rebuild, query: string): boolean {
  const name = OF_TYPE.exec(query)?.groups?.['name'];
  return name !== undefined && before.some(({ down = '' }) => down.includes(name));
}
