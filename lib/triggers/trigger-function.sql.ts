import type { Operation } from '../channels/entity-change.js';
import { quoteIdentifier, quoteLiteral, quoteTextArray } from '../common/sql-identifier.js';
import type { TriggerLiterals } from './trigger.literals.js';

/** PostgreSQL's limit for the text of a notification, in bytes. */
const MAX_BYTES = 7_999;

/**
 * The body of a trigger's function. It never refers to a column by name (but in `when`, which is the user's), so that
 * a column can be dropped or renamed while the trigger is there. Texts are joined by `||`, operation by operation:
 * json_build_object() and concat() cost a quarter more per row.
 */
export function functionBody(trigger: TriggerLiterals): string {
  const body = trigger.level === 'row' ? rowBody(trigger) : statementBody(trigger);
  return `
#variable_conflict use_column
declare
  context text := current_setting('pgpubsub.context', true);
  ending text := '}';
  message text;
begin
  if current_setting('pgpubsub.disabled', true) = 'on' then return null; end if;
  if context <> '' then
    begin
      ending := ',"context":' || context::json || '}';
    exception when others then null; -- not ours: somebody else has set it
    end;
  end if;
${trigger.on.includes('truncate') ? truncateBranch(trigger) : ''}${body}
  return null;
end
`;
}

/**
 * The seam where a trigger decides how it delivers: here, and nowhere else. `message` is the text of one
 * notification, already small enough. PL/pgSQL evaluates a condition itself, and runs `perform` as a query, which makes
 * the whole trigger a seventh slower.
 */
const deliver = ({ channel }: TriggerLiterals, message: string): string =>
  `if pg_notify(${quoteLiteral(channel)}, ${message}) is null then null; end if;`;

/** The same, for each of the rows of `from`. */
const deliverEach = ({ channel }: TriggerLiterals, message: string, from: string): string =>
  `perform pg_notify(${quoteLiteral(channel)}, ${message}) ${from};`;

const truncateBranch = (trigger: TriggerLiterals): string => `  if TG_OP = 'TRUNCATE' then
    message := ${text(trigger, 'truncate', undefined, undefined)};
    if octet_length(message) > ${MAX_BYTES} then message := ${least(trigger, 'truncate')}; end if;
    ${deliver(trigger, 'message')}
    return null;
  end if;
`;

export const HAS_OLD: ReadonlySet<Operation> = new Set(['update', 'delete']);
export const HAS_NEW: ReadonlySet<Operation> = new Set(['insert', 'update']);

/** Which operations have rows. */
const rowOperations = ({ on }: TriggerLiterals): Operation[] =>
  on.filter((operation) => operation !== 'truncate');

/**
 * Rows that are small, compressed as they are, stay far below PostgreSQL's limit of 1 GB for a text, whatever they
 * become in JSON. The others go the same way under the protection of a block, which costs more than all the rest.
 */
const SMALL_BYTES = 125_000;

/** One chain, in which what is frequent is asked for first. */
function rowBody(trigger: TriggerLiterals): string {
  const { when } = trigger;
  const condition = when === undefined ? '' : `  if (${when}) is not true then return null; end if;\n`;
  const operations = rowOperations(trigger);
  if (operations.length === 0) return '';
  const branches = [
    ...operations.map((operation) => smallBranch(trigger, operation)),
    ...operations.map((operation) => largeBranch(trigger, operation)),
  ];
  return `${condition}  if ${branches.join('\n  elsif ')}\n  end if;`;
}

/** Beyond 2 GB, sizes are negative. */
function smallBranch(trigger: TriggerLiterals, operation: Operation): string {
  const [oldRow, newRow] = rowsIn(operation);
  const isSmall = [HAS_OLD.has(operation) && 'OLD', HAS_NEW.has(operation) && 'NEW']
    .filter(Boolean)
    .map((row) => ` and pg_column_size(${row}) between 0 and ${SMALL_BYTES}`);
  return `${is(operation)}${isSmall.join('')} then
${rowText(trigger, operation)}
    if octet_length(message) > ${MAX_BYTES} then
      message := ${truncated(trigger, operation, keyIn(trigger, oldRow), keyIn(trigger, newRow))};
    end if;
    ${deliver(trigger, 'message')}`;
}

const largeBranch = (trigger: TriggerLiterals, operation: Operation): string => `${is(operation)} then
    begin
${rowText(trigger, operation)}
    if octet_length(message) > ${MAX_BYTES} then raise program_limit_exceeded; end if;
    exception when ${TOO_LARGE} then
      ${executedKey(trigger, operation)}
    end;
    ${deliver(trigger, 'message')}`;

const is = (operation: Operation): string => `TG_OP = '${operation.toUpperCase()}'`;

/** What PostgreSQL says when a text would be larger than 1 GB, and when there is no memory for it. */
const TOO_LARGE = 'internal_error or program_limit_exceeded or out_of_memory';

const rowsIn = (operation: Operation) =>
  [
    HAS_OLD.has(operation) ? 'row_to_json(OLD)' : undefined,
    HAS_NEW.has(operation) ? 'row_to_json(NEW)' : undefined,
  ] as const;

function rowText(trigger: TriggerLiterals, operation: Operation): string {
  const [oldRow, newRow] = rowsIn(operation);
  const changed = hasChanged(trigger.of, 'OLD', 'NEW');
  const unchanged = operation === 'update' ? `    if not (${changed}) then return null; end if;\n` : '';
  return `${unchanged}    message := ${text(trigger, operation, carried(trigger, oldRow), carried(trigger, newRow))};`;
}

/** The primary key of a row that has no JSON. It is named, and may have another name by now: hence `execute`. */
function executedKey(trigger: TriggerLiterals, operation: Operation): string {
  const fields = trigger.primaryKey.map((column) => `($1).${quoteIdentifier(column)}`).join(', ');
  const select = quoteLiteral(`select row_to_json(key) from (select ${fields}) as key`);
  const keyOf = (has: boolean, row: string) => (has && fields !== '' ? `${row}_key` : undefined);
  const oldKey = keyOf(HAS_OLD.has(operation), 'old');
  const newKey = keyOf(HAS_NEW.has(operation), 'new');
  const found = [
    oldKey && `        execute ${select} into old_key using OLD;\n`,
    newKey && `        execute ${select} into new_key using NEW;\n`,
  ].filter(Boolean);
  return `declare old_key json; new_key json;
      begin
${found.join('')}        message := ${truncated(trigger, operation, oldKey, newKey)};
      exception when others then
        message := ${least(trigger, operation)};
      end;`;
}

const statementBody = (trigger: TriggerLiterals): string =>
  rowOperations(trigger)
    .map((operation) => statementBranch(trigger, operation))
    .join('\n');

/** One block for all rows costs next to nothing. When one of them has no JSON, a single message stands for all of them. */
const statementBranch = (
  trigger: TriggerLiterals,
  operation: Operation,
): string => `  if ${is(operation)} then
    begin
    ${statement(trigger, operation)}
    exception when ${TOO_LARGE} then
      message := ${least(trigger, operation)};
      ${deliver(trigger, 'message')}
    end;
  end if;`;

/**
 * All rows of a statement in one query. `offset 0` keeps the planner from writing a row's JSON once for each place
 * that mentions it.
 */
function statement(trigger: TriggerLiterals, operation: Operation): string {
  const hasOld = HAS_OLD.has(operation);
  const hasNew = HAS_NEW.has(operation);
  const oldRow = hasOld ? 'old_row' : undefined;
  const newRow = hasNew ? 'new_row' : undefined;
  // with `.*`, because a column may be called "new"
  const rows = [hasOld && 'row_to_json(old.*) as old_row', hasNew && 'row_to_json(new.*) as new_row'].filter(
    Boolean,
  );
  const conditions = [
    operation === 'update' && hasChanged(trigger.of, 'old.*', 'new.*'),
    trigger.when,
  ].filter(Boolean);
  const where =
    conditions.length === 0 ? '' : ` where ${conditions.map((condition) => `(${condition})`).join(' and ')}`;
  return deliverEach(
    trigger,
    `case when octet_length(message) <= ${MAX_BYTES} then message else ${truncated(trigger, operation, keyIn(trigger, oldRow), keyIn(trigger, newRow))} end`,
    `from (
      select ${text(trigger, operation, carried(trigger, oldRow), carried(trigger, newRow))} as message, ${[oldRow, newRow].filter(Boolean).join(', ')}
      from (select ${rows.join(', ')} from ${changedRows(trigger, operation)}${where} offset 0) as pgpubsub_rows offset 0
    ) as pgpubsub_texts`,
  );
}

/**
 * The rows as "old" and "new". Those of an update are paired by their position: the transition tables list them in
 * the order in which they were changed, and a primary key may be among what has changed. Without the inner select,
 * PostgreSQL would take dropped columns of the table for those behind them.
 */
export function changedRows({ when }: TriggerLiterals, operation: Operation): string {
  const nothing = (rows: string, alias: string) =>
    when === undefined ? '' : ` left join ${rows} as ${alias} on false`; // not by the table's name: it may change
  if (operation === 'insert') return `new_rows as new${nothing('new_rows', 'old')}`;
  if (operation === 'delete') return `old_rows as old${nothing('old_rows', 'new')}`;
  const numbered = (rows: string) =>
    `(select row_number() over () as pgpubsub_position, pgpubsub_row from (select * from ${rows}) as pgpubsub_row)`;
  return `${numbered('old_rows')} as before join ${numbered('new_rows')} as after using (pgpubsub_position)
        cross join lateral (select (before.pgpubsub_row).*) as old
        cross join lateral (select (after.pgpubsub_row).*) as new`;
}

/** By value, for every type: `is distinct from` has no answer for json, point and xml. */
export function hasChanged(of: readonly string[], before: string, after: string): string {
  if (of.length === 0) return `${before} *<> ${after}`;
  const member = (row: string, column: string) =>
    `(${hidden(`row_to_json(${row})`)} -> ${quoteLiteral(hiddenName(column))})::text`;
  return of
    .map((column) => `${member(before, column)} is distinct from ${member(after, column)}`)
    .join(' or ');
}

/** The text of one notification, with the rows given as JSON, or without. */
export const text = (
  trigger: TriggerLiterals,
  operation: Operation,
  oldRow: string | undefined,
  newRow: string | undefined,
  end = 'ending',
): string => {
  const start = `{"operation":"${operation}","schema":${JSON.stringify(trigger.schema)},"table":${JSON.stringify(trigger.table)},"old":`;
  return [...joined(start, oldRow), ...joined(',"new":', newRow), end].join(' || ');
};

const joined = (before: string, row: string | undefined): string[] =>
  row === undefined
    ? [quoteLiteral(`${before}null`)]
    : [quoteLiteral(before), `coalesce(${row}::text, 'null')`];

/** What is carried of a row. */
export function carried({ columns, exclude }: TriggerLiterals, row: string | undefined): string | undefined {
  if (row === undefined) return undefined;
  if (columns !== undefined) return members(row, `key = any(${quoteTextArray(columns.map(hiddenName))})`);
  return exclude.length === 0 ? row : members(row, `key <> all(${quoteTextArray(exclude.map(hiddenName))})`);
}

/**
 * As json, never as jsonb, which rewrites numbers. PostgreSQL takes escapes such as \u0000, which json columns may
 * hold, for characters as soon as it looks into a value: they are hidden from it, and shown again.
 */
const members = (row: string, condition: string): string =>
  `(select replace(json_object_agg(key, value)::text, ${HIDDEN}, ${ESCAPE})::json from json_each(${hidden(row)}) where ${condition})`;

/** What becomes of a name that looks like an escape, when a row is hidden. */
export const hiddenName = (column: string): string => column.replaceAll('\\u', '\\u005cu');

export const hidden = (row: string): string => `replace(${row}::text, ${ESCAPE}, ${HIDDEN})::json`;

/** The begin of an escape, and the same as an escape itself. Without a backslash: old migrations of TypeORM lose them. */
export const ESCAPE = "chr(92) || 'u'";
export const HIDDEN = "chr(92) || 'u005cu'";

/** The primary key only; and without anything, when even that is too large (with the context, for example). */
function truncated(
  trigger: TriggerLiterals,
  operation: Operation,
  oldKey: string | undefined,
  newKey: string | undefined,
): string {
  const kept = text(trigger, operation, oldKey, newKey, `',"truncated":true' || ending`);
  return `(select case when octet_length(kept) <= ${MAX_BYTES} then kept else ${least(trigger, operation)} end
        from (select ${kept} as kept offset 0) as pgpubsub_kept)`;
}

const keyIn = ({ primaryKey }: TriggerLiterals, row: string | undefined): string | undefined =>
  row === undefined ? undefined : members(row, `key = any(${quoteTextArray(primaryKey.map(hiddenName))})`);

const least = (trigger: TriggerLiterals, operation: Operation): string =>
  text(trigger, operation, undefined, undefined, `',"truncated":true}'`);
