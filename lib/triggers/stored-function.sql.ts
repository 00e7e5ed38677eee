import type { Operation } from '../channels/entity-change.js';
import { quoteLiteral } from '../common/sql-identifier.js';
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
  hiddenName,
  text,
} from './trigger-function.sql.js';
import type { TriggerLiterals } from './trigger.literals.js';

/**
 * The body of the function of a trigger that stores: as that of a broadcast, with a row for each notification, of any
 * size and with the context in a column of its own, and a hint to whoever claims them.
 */
export function storedFunctionBody(trigger: TriggerLiterals): string {
  const { variables, body } = trigger.level === 'row' ? rowBody(trigger) : statementBody(trigger);
  return `
#variable_conflict use_column
declare
  context text := current_setting('pgpubsub.context', true);
  carried_context jsonb;
  message json;
  hint text;
${variables}begin
  if current_setting('pgpubsub.disabled', true) = 'on' then return null; end if;
  if context <> '' then
    begin
      carried_context := context::jsonb;
      if jsonb_typeof(carried_context) <> 'object' then carried_context := null; end if;
    exception when others then null; -- not ours: somebody else has set it
    end;
  end if;
${body}
  return null;
end
`;
}

interface Body {
  readonly variables: string;
  readonly body: string;
}

/**
 * The version of the schema is looked up by the first row of a statement, which leaves it to the others in settings of
 * the transaction: the look-up takes as long as storing a row. The end of a migration is a statement of its own.
 */
const ROW_VARIABLES = `  row_json json;
  row_key text;
  version text;
`;

/** What is assigned is evaluated at once; a query costs several times as much. */
function rowBody(trigger: TriggerLiterals): Body {
  const { on, storageSchema } = trigger;
  const branches = on.map((operation) => rowBranch(trigger, operation));
  const body = `${whenBranch(trigger)}  if ${branches.join('\n  elsif ')}
  end if;
  if current_setting('pgpubsub.statement', true) = statement_timestamp()::text then
    version := nullif(current_setting('pgpubsub.schema_version', true), '');
  else
    version := ${schemaVersion(storageSchema)};
    perform set_config('pgpubsub.schema_version', coalesce(version, ''), true),
      set_config('pgpubsub.statement', statement_timestamp()::text, true);
  end if;
  ${store(trigger, `values (${stored(trigger, 'message', 'row_key', 'version')})`)}
  ${hint(trigger)}`;
  return { variables: ROW_VARIABLES, body };
}

const whenBranch = ({ when }: TriggerLiterals): string =>
  when === undefined
    ? ''
    : `  if TG_OP <> 'TRUNCATE' then
    if (${when}) is not true then return null; end if;
  end if;
`;

function rowBranch(trigger: TriggerLiterals, operation: Operation): string {
  const hasOld = HAS_OLD.has(operation);
  const hasNew = HAS_NEW.has(operation);
  const isKeyed = trigger.ordered && (hasOld || hasNew);
  const keyed = isKeyed && `row_json := row_to_json(${hasOld ? 'OLD' : 'NEW'});`;
  const oldRow = hasOld ? (isKeyed ? 'row_json' : 'row_to_json(OLD)') : undefined;
  const newRow = hasNew ? (isKeyed && !hasOld ? 'row_json' : 'row_to_json(NEW)') : undefined;
  const steps = [
    operation === 'update' && `if not (${hasChanged(trigger.of, 'OLD', 'NEW')}) then return null; end if;`,
    keyed,
    `message := ${change(trigger, operation, oldRow, newRow)};`,
    keyed && `row_key := ${key(trigger, 'row_json')};`,
  ].filter(Boolean);
  return `TG_OP = '${operation.toUpperCase()}' then\n    ${steps.join('\n    ')}`;
}

const statementBody = (trigger: TriggerLiterals): Body => ({
  variables: '',
  body: trigger.on.map((operation) => statementBranch(trigger, operation)).join('\n'),
});

/** All rows with one insert, which looks up the version once. */
function statementBranch(trigger: TriggerLiterals, operation: Operation): string {
  const hasOld = HAS_OLD.has(operation);
  const oldRow = hasOld ? 'old_row' : undefined;
  const newRow = HAS_NEW.has(operation) ? 'new_row' : undefined;
  const rowKey =
    trigger.ordered && operation !== 'truncate' ? key(trigger, hasOld ? 'old_row' : 'new_row') : 'null';
  const version = `(select ${schemaVersion(trigger.storageSchema)})`;
  const message = `(${change(trigger, operation, oldRow, newRow)})::json`;
  const rows = operation === 'truncate' ? '' : `\n    from ${rowsOfStatement(trigger, operation)}`;
  return `  if TG_OP = '${operation.toUpperCase()}' then
    ${store(trigger, `select ${stored(trigger, message, rowKey, version)}${rows}`)}
    if found then
      ${hint(trigger)}
    end if;
  end if;`;
}

/** `offset 0` keeps the planner from writing a row's JSON once for each place that mentions it. */
function rowsOfStatement(trigger: TriggerLiterals, operation: Operation): string {
  const rows = [
    HAS_OLD.has(operation) && 'row_to_json(old.*) as old_row', // with `.*`, because a column may be called "old"
    HAS_NEW.has(operation) && 'row_to_json(new.*) as new_row',
  ].filter(Boolean);
  const conditions = [
    operation === 'update' && hasChanged(trigger.of, 'old.*', 'new.*'),
    trigger.when,
  ].filter(Boolean);
  const where =
    conditions.length === 0 ? '' : ` where ${conditions.map((condition) => `(${condition})`).join(' and ')}`;
  return `(select ${rows.join(', ')} from ${changedRows(trigger, operation)}${where} offset 0) as pgpubsub_rows`;
}

const store = ({ storageSchema }: TriggerLiterals, rows: string): string =>
  `insert into ${notificationTable(storageSchema)} (channel, payload, context, key, schema_version)
    ${rows};`;

const stored = ({ channel }: TriggerLiterals, message: string, rowKey: string, version: string): string =>
  `${quoteLiteral(channel)}, ${message}, carried_context, ${rowKey}, ${version}`;

/** The text of a change as broadcasts have it, whole, and without the context. */
const change = (
  trigger: TriggerLiterals,
  operation: Operation,
  oldRow: string | undefined,
  newRow: string | undefined,
): string => text(trigger, operation, carried(trigger, oldRow), carried(trigger, newRow), "'}'");

/** The primary key of a row as text: its value, or the array of its values. */
function key({ primaryKey }: TriggerLiterals, row: string): string {
  const [first, ...more] = primaryKey.map((column) => member(row, column));
  if (more.length === 0) return `${first} #>> '{}'`;
  return `'[' || ${[first, ...more].map((value) => `coalesce((${value})::text, 'null')`).join(" || ',' || ")} || ']'`;
}

/** As it is, when there are no escapes to be hidden: that is the rule, and half the cost. */
const member = (row: string, column: string): string =>
  `(case when strpos(${row}::text, ${ESCAPE}) = 0 then ${row} -> ${quoteLiteral(column)} ` +
  `else replace((${hidden(row)} -> ${quoteLiteral(hiddenName(column))})::text, ${HIDDEN}, ${ESCAPE})::json end)`;

/** Wakes whoever listens. PostgreSQL folds equal ones of a transaction. */
const hint = ({ wake, channel }: TriggerLiterals): string =>
  wake === 'poll' ? 'null;' : `hint := pg_notify(${quoteLiteral(HINT_CHANNEL)}, ${quoteLiteral(channel)});`;
