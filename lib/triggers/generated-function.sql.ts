import type { Operation } from '../channels/entity-change.js';
import { dollarQuoted, quoteIdentifier, quoteLiteral, quoteQualified } from '../common/sql-identifier.js';
import { TEXT_SETTINGS, textSettings } from '../storage/text-settings.js';
import {
  MAX_BYTES,
  READ_ENDING,
  RETURN_IF_DISABLED,
  SEND_MESSAGE,
  TOO_LARGE,
  UPDATED_ROWS,
  changeText,
  leastText,
  membersOf,
  sendEach,
  truncatedText,
  type ChangedRows,
} from '../storage/change.sql.js';
import { HAS_NEW, HAS_OLD, hasConditionFunction, isRestricted, rowsClause } from './condition.js';
import { conditionFunctionName, functionName } from './trigger.names.js';
import type { ResolvedTrigger } from './trigger.resolver.js';

/** A function that a declaration generates. */
export interface GeneratedFunction {
  readonly schema: string;
  readonly name: string;
  /** With the types of its parameters, as statements name it. */
  readonly identity: string;
  readonly body: string;
  /** As `pg_proc.proconfig` lists them. */
  readonly settings: readonly string[];
  readonly create: string;
}

/** The functions that a declaration needs besides those of the storage. */
export const generatedFunctions = (trigger: ResolvedTrigger, serverVersion: number): GeneratedFunction[] => [
  ...(trigger.on.some((operation) => isGenerated(trigger, operation))
    ? [triggerFunction(trigger, serverVersion)]
    : []),
  ...(hasConditionFunction(trigger) ? [conditionFunction(trigger)] : []),
];

/** Whether the trigger of the operation calls the generated function: it carries some columns, or filters rows of a statement. */
export const isGenerated = (trigger: ResolvedTrigger, operation: Operation): boolean =>
  operation !== 'truncate' &&
  (trigger.columns !== undefined || (trigger.level === 'statement' && isRestricted(trigger, operation)));

function conditionFunction({ schema, table, channel, when = '' }: ResolvedTrigger): GeneratedFunction {
  const name = conditionFunctionName(table, channel);
  const row = quoteQualified(schema, table);
  const body = `select (${when})`;
  return {
    schema,
    name,
    identity: `${quoteQualified(schema, name)}(${row}, ${row})`,
    body,
    settings: TEXT_SETTINGS.slice(0, 1),
    create: `create or replace function ${quoteQualified(schema, name)}(old ${row}, new ${row}) returns boolean language sql
  set search_path = pg_catalog, pg_temp as ${dollarQuoted(body)}`,
  };
}

function triggerFunction(trigger: ResolvedTrigger, serverVersion: number): GeneratedFunction {
  const { schema, table, channel, level } = trigger;
  const name = functionName(table, channel);
  const operations = trigger.on.filter((operation) => isGenerated(trigger, operation));
  const body = level === 'row' ? rowBody(trigger, operations) : statementBody(trigger, operations);
  const identity = `${quoteQualified(schema, name)}()`;
  return {
    schema,
    name,
    identity,
    body,
    settings: TEXT_SETTINGS,
    create: `create or replace function ${identity} returns trigger language plpgsql
  ${textSettings(serverVersion)} as ${dollarQuoted(body)}`,
  };
}

/** PostgreSQL takes 100 arguments, two for each column. A query takes more columns, and more time. */
const MAX_ARGUMENT_COLUMNS = 50;

/** The JSON of some columns of a row. */
function objectOf(row: string, columns: readonly string[]): string {
  const member = (column: string) => `${row}.${quoteIdentifier(column)}`;
  return columns.length <= MAX_ARGUMENT_COLUMNS
    ? `json_build_object(${columns.map((column) => `${quoteLiteral(column)}, ${member(column)}`).join(', ')})`
    : `(select row_to_json(columns) from (select ${columns.map(member).join(', ')}) as columns)`;
}

/** The row as JSON, or the part of it that is carried. */
const carried = ({ columns }: ResolvedTrigger, row: string): string =>
  columns === undefined ? `row_to_json(${row}.*)` : objectOf(row, columns);

/** The rows that some of the operations have. */
const rowsOfAny = (operations: readonly Operation[]): ('old' | 'new')[] => [
  ...(operations.some((operation) => HAS_OLD.has(operation)) ? (['old'] as const) : []),
  ...(operations.some((operation) => HAS_NEW.has(operation)) ? (['new'] as const) : []),
];

/** Assigns the JSON of some columns to variables, each where the operation has its row. */
const assign = (
  rows: readonly ('old' | 'new')[],
  variable: 'row' | 'key',
  columns: readonly string[],
): string[] =>
  rows.map(
    (row) =>
      `if tg_op <> '${row === 'old' ? 'INSERT' : 'DELETE'}' then ${row}_${variable} := ${objectOf(row, columns)}; end if;`,
  );

/** For rows that carry some columns: fifteen lines, the shortest that neither breaks a write nor needs a right. */
function rowBody(trigger: ResolvedTrigger, operations: readonly Operation[]): string {
  const { columns = [], delivery } = trigger;
  const rows = rowsOfAny(operations);
  const members = Object.fromEntries(rows.map((row) => [row, `${row}_row`]));
  const keys = Object.fromEntries(rows.map((row) => [row, `${row}_key`]));
  const lines =
    delivery === 'exactly-once'
      ? [...assign(rows, 'row', columns), ...storeRow(trigger, members)]
      : [
          READ_ENDING,
          `if ${isSmall(columns, rows)} then`,
          ...assign(rows, 'row', columns).map((line) => `  ${line}`),
          `  message := ${changeText('(lower(tg_op))', members, 'ending')};`,
          'end if;',
          `if message is null or octet_length(message) > ${MAX_BYTES} then`,
          ...assign(rows, 'key', trigger.primaryKey).map((line) => `  ${line}`),
          `  message := ${truncatedText('(lower(tg_op))', keys)};`,
          'end if;',
          SEND_MESSAGE,
          'return null;',
        ];
  const variables =
    delivery === 'exactly-once'
      ? 'old_row json; new_row json; stored_context jsonb; hint text;'
      : "ending text := '}'; message text; old_row json; new_row json; old_key json; new_key json;";
  return `
declare
  ${variables}
begin
  ${[RETURN_IF_DISABLED, ...lines].join('\n  ')}
end
`;
}

function storeRow(trigger: ResolvedTrigger, members: ChangedRows): string[] {
  const own = (name: string) => quoteQualified(trigger.storageSchema, name);
  const keyOf = (row: string) => objectOf(row, trigger.primaryKey);
  const key = trigger.ordered
    ? `${own('pgpubsub_key')}(case tg_op when 'INSERT' then ${keyOf('new')} else ${keyOf('old')} end, tg_argv[5:])`
    : 'null';
  return [
    `stored_context := ${own('pgpubsub_stamp')}();`,
    `insert into ${own('pgpubsub_notification')} (channel, payload, context, key)`,
    `values (tg_argv[1], (${changeText('(lower(tg_op))', members, "'}'")})::json, stored_context, ${key});`,
    "if tg_argv[4] <> 'poll' then hint := pg_notify('pgpubsub', tg_argv[1]); end if;",
    'return null;',
  ];
}

/** Whether the JSON of the carried columns can be written: see `pgpubsub_broadcast()`. */
function isSmall(columns: readonly string[], rows: readonly ('old' | 'new')[]): string {
  const sizes = (sizeOf: (row: string) => string) =>
    `coalesce(greatest(${rows.map((row) => `pg_column_size(${sizeOf(row)})`).join(', ')}), 0) between 0 and 125000`;
  const some = (row: string) =>
    `row(${columns.map((column) => `${row}.${quoteIdentifier(column)}`).join(', ')})`;
  return `${sizes((row) => row)} or ${sizes(some)}`;
}

/** For the rows of a statement that match a condition, or carry some columns. */
function statementBody(trigger: ResolvedTrigger, operations: readonly Operation[]): string {
  const own = (name: string) => quoteQualified(trigger.storageSchema, name);
  const isStored = trigger.delivery === 'exactly-once';
  const branches = operations.map((operation, index) => {
    const start = `${index === 0 ? 'if' : 'elsif'} tg_op = '${operation.toUpperCase()}' then`;
    return `${start}\n    ${isStored ? storeRows(trigger, operation) : sendEach(operation, rowsOf(trigger, operation), keysOf(trigger, operation))}`;
  });
  const [variables, start, end] = isStored
    ? [
        'stored_context jsonb; hint text;',
        `stored_context := ${own('pgpubsub_stamp')}();`,
        "if found and tg_argv[4] <> 'poll' then hint := pg_notify('pgpubsub', tg_argv[1]); end if;\n  return null;",
      ]
    : [
        "ending text := '}';",
        READ_ENDING,
        `return null;\nexception when ${TOO_LARGE} then -- one change stands for all rows
  perform pg_notify(tg_argv[1], ${leastText('(lower(tg_op))')});
  return null;`,
      ];
  return `
#variable_conflict use_column
declare
  ${variables}
begin
  ${RETURN_IF_DISABLED}
  ${start}
  ${branches.join('\n  ')}
  end if;
  ${end}
end
`;
}

/** The primary keys of the rows of a statement, as columns of `rowsOf()`. */
const keysOf = (trigger: ResolvedTrigger, operation: Operation): ChangedRows =>
  Object.fromEntries(rowsOfAny([operation]).map((row) => [row, keyColumn(trigger, row)]));

/** A row that carries its primary key has no column for it. */
const keyColumn = (trigger: ResolvedTrigger, row: 'old' | 'new'): string => {
  if (trigger.columns === undefined) return membersOf(`${row}_row`, 'tg_argv[4:]');
  return `${row}_key`;
};

function storeRows(trigger: ResolvedTrigger, operation: Operation): string {
  const own = (name: string) => quoteQualified(trigger.storageSchema, name);
  const rows = rowsOfAny([operation]);
  const [keyRow = 'new'] = rows;
  const key = trigger.ordered
    ? `${own('pgpubsub_key')}(${trigger.columns === undefined ? `${keyRow}_row` : `${keyRow}_key`}, tg_argv[5:])`
    : 'null';
  const members = Object.fromEntries(rows.map((row) => [row, `${row}_row`]));
  return `insert into ${own('pgpubsub_notification')} (channel, payload, context, key)
    select tg_argv[1], (${changeText(operation, members, "'}'")})::json, stored_context, ${key}
    from ${rowsOf(trigger, operation)} as changed;`;
}

/** The rows of a statement that match. `offset 0` keeps the planner from writing their JSON once for each place that mentions it. */
function rowsOf(trigger: ResolvedTrigger, operation: Operation): string {
  const members = rowsOfAny([operation]).flatMap((row) => [
    `${carried(trigger, row)} as ${row}_row`,
    ...(trigger.columns === undefined ? [] : [`${objectOf(row, trigger.primaryKey)} as ${row}_key`]),
  ]);
  const clause = rowsClause(trigger, operation);
  return `(select ${members.join(', ')} from ${sourceOf(trigger, operation)}${clause === undefined ? '' : ` where (${clause})`} offset 0)`;
}

/** In a condition, the row that the operation does not have is null. */
function sourceOf({ when }: ResolvedTrigger, operation: Operation): string {
  const nothing = (rows: string, alias: string) =>
    when === undefined ? '' : ` left join ${rows} as ${alias} on false`;
  if (operation === 'insert') return `new_rows as new${nothing('new_rows', 'old')}`;
  if (operation === 'delete') return `old_rows as old${nothing('old_rows', 'new')}`;
  return UPDATED_ROWS;
}
