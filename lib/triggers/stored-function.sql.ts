import type { Operation } from '../channels/entity-change.js';
import { quoteIdentifier, quoteLiteral } from '../common/sql-identifier.js';
import { HINT_CHANNEL, notificationTable, schemaVersion } from '../schema/storage.sql.js';
import {
  ESCAPE,
  HAS_NEW,
  HAS_OLD,
  HIDDEN,
  carried,
  changedRows,
  hasChanged,
  hidden,
  rowOperations,
} from './trigger-function.sql.js';
import type { TriggerLiterals } from './trigger.literals.js';

/**
 * The body of the function of a trigger that stores: as that of a broadcast, with a row of any size for each
 * notification, whose context is a column of its own, and a hint instead of the text.
 */
export function storedFunctionBody(trigger: TriggerLiterals): string {
  const body = trigger.level === 'row' ? rowBody(trigger) : statementBody(trigger);
  return `
#variable_conflict use_column
declare
  context text := current_setting('pgpubsub.context', true);
  carried_context jsonb;
begin
  if current_setting('pgpubsub.disabled', true) = 'on' then return null; end if;
  if context <> '' then
    begin
      carried_context := context::jsonb;
      if jsonb_typeof(carried_context) <> 'object' then carried_context := null; end if;
    exception when others then null; -- not ours: somebody else has set it
    end;
  end if;
${trigger.on.includes('truncate') ? truncateBranch(trigger) : ''}${body}
  return null;
end
`;
}

/** The rows of a change, as JSON; without old or new ones as it may be. */
interface Rows {
  readonly oldRow?: string | undefined;
  readonly newRow?: string | undefined;
}

const truncateBranch = (trigger: TriggerLiterals): string => `  if TG_OP = 'TRUNCATE' then
    ${store(trigger, 'truncate', {})}
    ${hint(trigger)}
    return null;
  end if;
`;

function rowBody(trigger: TriggerLiterals): string {
  const { when } = trigger;
  const operations = rowOperations(trigger);
  if (operations.length === 0) return '';
  const condition = when === undefined ? '' : `  if (${when}) is not true then return null; end if;\n`;
  const branches = operations.map((operation) => rowBranch(trigger, operation));
  return `${condition}  if ${branches.join('\n  elsif ')}\n  end if;\n  ${hint(trigger)}`;
}

function rowBranch(trigger: TriggerLiterals, operation: Operation): string {
  const unchanged = `    if not (${hasChanged(trigger.of, 'OLD', 'NEW')}) then return null; end if;\n`;
  const rows = {
    oldRow: HAS_OLD.has(operation) ? 'row_to_json(OLD)' : undefined,
    newRow: HAS_NEW.has(operation) ? 'row_to_json(NEW)' : undefined,
  };
  return `TG_OP = '${operation.toUpperCase()}' then
${operation === 'update' ? unchanged : ''}    ${store(trigger, operation, rows)}`;
}

const statementBody = (trigger: TriggerLiterals): string =>
  rowOperations(trigger)
    .map(
      (operation) => `  if TG_OP = '${operation.toUpperCase()}' then
    ${store(trigger, operation, { oldRow: 'old_row', newRow: 'new_row' }, rowsOfStatement(trigger, operation))}
    if found then ${hint(trigger) || 'null;'} end if;
  end if;`,
    )
    .join('\n');

/** `offset 0` keeps the planner from writing a row's JSON once for each place that mentions it. */
function rowsOfStatement(trigger: TriggerLiterals, operation: Operation): string {
  const json = (has: boolean, row: string) =>
    (has ? `row_to_json(${row}.*)` : 'null::json') + ` as ${row}_row`;
  const rows = [json(HAS_OLD.has(operation), 'old'), json(HAS_NEW.has(operation), 'new')];
  const conditions = [
    operation === 'update' && hasChanged(trigger.of, 'old.*', 'new.*'),
    trigger.when,
  ].filter(Boolean);
  const where =
    conditions.length === 0 ? '' : ` where ${conditions.map((condition) => `(${condition})`).join(' and ')}`;
  return ` from (select ${rows.join(', ')} from ${changedRows(trigger, operation)}${where} offset 0) as pgpubsub_rows`;
}

/** Stores one notification, or one for each of several rows. Nothing is cut off: a row of a table has no limit. */
function store(trigger: TriggerLiterals, operation: Operation, rows: Rows, from = ''): string {
  const { channel, storageSchema } = trigger;
  return `insert into ${notificationTable(storageSchema)} (channel, payload, context, key, schema_version)
    select ${quoteLiteral(channel)}, ${payload(trigger, operation, rows)}, carried_context, ${key(trigger, operation, rows)}, (select ${schemaVersion(storageSchema)})${from};`;
}

/** As broadcasts have it, but made of JSON instead of text, which PostgreSQL would have to parse. */
function payload(trigger: TriggerLiterals, operation: Operation, { oldRow, newRow }: Rows): string {
  const text = (value: string) => `${quoteLiteral(value)}::text`;
  const members = {
    operation: text(operation),
    schema: text(trigger.schema),
    table: text(trigger.table),
    old: carried(trigger, oldRow) ?? 'null::json',
    new: carried(trigger, newRow) ?? 'null::json',
  };
  const columns = Object.entries(members).map(([name, value]) => `${value} as ${quoteIdentifier(name)}`);
  return `(select row_to_json(pgpubsub_change) from (select ${columns.join(', ')}) as pgpubsub_change)`;
}

/** The primary key as text, by which listeners keep the order: of the row as it was, where it was. */
function key(
  { ordered, primaryKey }: TriggerLiterals,
  operation: Operation,
  { oldRow, newRow }: Rows,
): string {
  const row = HAS_OLD.has(operation) ? oldRow : newRow;
  if (!ordered || row === undefined) return 'null';
  const texts = primaryKey.map(
    (column) => `replace((${hidden(row)} -> ${quoteLiteral(column)})::text, ${HIDDEN}, ${ESCAPE})`,
  );
  if (texts.length === 1) return `${texts[0]}::json #>> '{}'`;
  return `'[' || ${texts.map((text) => `coalesce(${text}, 'null')`).join(" || ',' || ")} || ']'`;
}

/** Wakes whoever listens. PostgreSQL folds equal ones of a transaction. */
const hint = ({ wake, channel }: TriggerLiterals): string =>
  wake === 'poll' ? '' : `perform pg_notify(${quoteLiteral(HINT_CHANNEL)}, ${quoteLiteral(channel)});`;
