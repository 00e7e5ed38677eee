import { finding, type Finding } from './finding.js';
import type { FoundTable } from './storage.catalog.js';
import type { StorageColumn } from './storage.sql.js';
import type { Step } from './step.js';
import {
  addColumn,
  addIdentity,
  continueIdentity,
  dropColumn,
  dropIdentity,
  setDefault,
  setIdentity,
  setNotNull,
  setType,
} from './table.sql.js';

/** How the columns of a table that is there differ from those that are wanted. */
export function columnFindings(wanted: readonly StorageColumn[], table: FoundTable): Finding[] {
  const nameOf = ({ name }: StorageColumn) => `column ${name} of ${table.schema}.${table.name}`;
  const found = new Map(table.columns.map((column) => [column.name, column]));
  const findings: Finding[] = [];
  for (const column of wanted) {
    const existing = found.get(column.name);
    found.delete(column.name);
    const steps = existing ? mend(table, existing, column) : [added(table, column)];
    if (steps.length > 0) findings.push(finding(existing ? 'drifted' : 'missing', nameOf(column), steps));
  }
  for (const column of found.values())
    findings.push(finding('obsolete', nameOf(column), [removed(table, column)]));
  return findings;
}

const added = (table: FoundTable, column: StorageColumn): Step => ({
  up: addColumn(table, column),
  down: dropColumn(table, column.name),
});

const removed = (table: FoundTable, column: StorageColumn): Step => ({
  up: dropColumn(table, column.name),
  down: addColumn(table, column),
});

/** An identity needs NOT NULL and takes no default, and a default has to fit its type: the order matters. */
function mend(table: FoundTable, from: StorageColumn, to: StorageColumn): Step[] {
  const { name } = to;
  const retyped = from.type !== to.type;
  const redefaulted = retyped || from.default !== to.default;
  const steps: Step[] = [];
  const change = (up: string, down: string) => steps.push({ up, down });
  if (from.identity && !to.identity) {
    steps.push({ down: continueIdentity(table, name) });
    change(dropIdentity(table, name), addIdentity(table, from));
  }
  if (redefaulted && from.default !== undefined)
    change(setDefault(table, name, undefined), setDefault(table, name, from.default));
  if (retyped) change(setType(table, name, to.type), setType(table, name, from.type));
  if (to.notNull && !from.notNull) change(setNotNull(table, name, true), setNotNull(table, name, false));
  if (to.identity && !from.identity) {
    change(addIdentity(table, to), dropIdentity(table, name));
    steps.push({ up: continueIdentity(table, name) });
  }
  if (to.identity && from.identity && to.identity !== from.identity)
    change(setIdentity(table, to), setIdentity(table, from));
  if (redefaulted && to.default !== undefined)
    change(setDefault(table, name, to.default), setDefault(table, name, undefined));
  if (!to.notNull && from.notNull) change(setNotNull(table, name, false), setNotNull(table, name, true));
  return steps;
}
