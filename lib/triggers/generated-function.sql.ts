import type { Operation } from '../channels/entity-change.js';
import { dollarQuoted, quoteIdentifier, quoteLiteral, quoteQualified } from '../common/sql-identifier.js';
import { TEXT_SETTINGS, textSettings } from '../storage/text-settings.sql.js';
import {
  MAX_BYTES,
  READ_ENDING,
  RETURN_IF_DISABLED,
  SEND_MESSAGE,
  TOO_LARGE,
  UPDATED_ROWS,
  changeText,
  READ_CONTEXT,
  SEND_HINT,
  leastText,
  membersOf,
  noteVersion,
  orNull,
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
    : `(select row_to_json(columns.*) from (select ${columns.map(member).join(', ')}) as columns)`;
}

/** The row as JSON, or the part of it that is carried. */
const carried = ({ columns }: ResolvedTrigger, row: string): string =>
  columns === undefined ? `row_to_json(${row}.*)` : objectOf(row, columns);

/** The rows that some of the operations have. */
const rowsOfAny = (operations: readonly Operation[]): ('old' | 'new')[] => [
  ...(operations.some((operation) => HAS_OLD.has(operation)) ? (['old'] as const) : []),
  ...(operations.some((operation) => HAS_NEW.has(operation)) ? (['new'] as const) : []),
];

/** For rows that carry some columns: at most fifteen lines, as a person has to review it. */
function rowBody(trigger: ResolvedTrigger, operations: readonly Operation[]): string {
  const isStored = trigger.delivery === 'exactly-once';
  const { start, each, end } = isStored ? storedRow(trigger) : sentRow(trigger, operations);
  const branches = operations.map(
    (operation, index) =>
      `${index === 0 ? 'if' : 'elsif'} tg_op = '${operation.toUpperCase()}'${each(operation)}`,
  );
  return `
declare ${isStored ? 'payload json; context jsonb; row_key text; hint text;' : "ending text := '}'; message text;"}
begin
  ${[RETURN_IF_DISABLED, ...start, ...branches, 'end if;', ...end].join('\n  ')}
  return null;
end `;
}

interface RowLines {
  readonly start: readonly string[];
  /** What follows the test for the operation. */
  readonly each: (operation: Operation) => string;
  readonly end: readonly string[];
}

const rowsIn = (trigger: ResolvedTrigger, operation: Operation): ChangedRows =>
  Object.fromEntries(rowsOfAny([operation]).map((row) => [row, objectOf(row, trigger.columns ?? [])]));

function sentRow(trigger: ResolvedTrigger, operations: readonly Operation[]): RowLines {
  const { columns = [], primaryKey } = trigger;
  const keys = Object.fromEntries(
    rowsOfAny(operations).map((row) => {
      const operation = row === 'old' ? 'INSERT' : 'DELETE';
      return [row, orNull(`case when tg_op <> '${operation}' then ${objectOf(row, primaryKey)} end`)];
    }),
  );
  return {
    start: [READ_ENDING],
    each: (operation) => {
      const small = rowsOfAny([operation]).map((row) => ` and ${isSmall(row, columns)}`);
      return `${small.join('')} then message := ${changeText(operation, rowsIn(trigger, operation), 'ending')};`;
    },
    end: [
      `if message is null or octet_length(message) > ${MAX_BYTES} then message := ${truncatedText(undefined, keys)}; end if;`,
      SEND_MESSAGE,
    ],
  };
}

function storedRow(trigger: ResolvedTrigger): RowLines {
  const own = (name: string) => quoteQualified(trigger.storageSchema, name);
  const key = (operation: Operation) => {
    const [row = 'new'] = rowsOfAny([operation]);
    const object = objectOf(row, trigger.primaryKey);
    return trigger.ordered ? ` row_key := ${own('pgpubsub_key')}(${object}, tg_argv[5:]);` : '';
  };
  return {
    start: [noteVersion(own('pgpubsub_schema_version')), READ_CONTEXT],
    each: (operation) =>
      ` then payload := ${changeText(operation, rowsIn(trigger, operation), "'}'")};${key(operation)}`,
    end: [
      `insert into ${own('pgpubsub_notification')} (channel, payload, context, key) values (tg_argv[1], payload, context, row_key);`,
      SEND_HINT,
    ],
  };
}

/** Whether the JSON of the carried columns can be written: see `pgpubsub_broadcast()`. */
const isSmall = (row: string, columns: readonly string[]): string =>
  `(pg_column_size(${row}) between 0 and 125000 or pg_column_size(row(${columns
    .map((column) => `${row}.${quoteIdentifier(column)}`)
    .join(', ')})) between 0 and 125000)`;

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
        'context jsonb; hint text;',
        `${noteVersion(own('pgpubsub_schema_version'))}\n  ${READ_CONTEXT}`,
        `if not found then return null; end if;\n  ${SEND_HINT}\n  return null;`,
      ]
    : [
        "ending text := '}';",
        READ_ENDING,
        `return null;\nexception when ${TOO_LARGE} then -- one change stands for all rows
  perform pg_notify(tg_argv[1], ${leastText(undefined)});
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

/** The primary keys of the rows of a statement, as expressions on `rowsOf()`. */
const keysOf = (trigger: ResolvedTrigger, operation: Operation): ChangedRows =>
  Object.fromEntries(
    rowsOfAny([operation]).map((row) => [
      row,
      orNull(trigger.columns === undefined ? membersOf(`${row}_row`, 'tg_argv[4:]') : `${row}_key`),
    ]),
  );

function storeRows(trigger: ResolvedTrigger, operation: Operation): string {
  const own = (name: string) => quoteQualified(trigger.storageSchema, name);
  const rows = rowsOfAny([operation]);
  const [keyRow = 'new'] = rows;
  const key = trigger.ordered
    ? `${own('pgpubsub_key')}(${trigger.columns === undefined ? `${keyRow}_row` : `${keyRow}_key`}, tg_argv[5:])`
    : 'null';
  const members = Object.fromEntries(rows.map((row) => [row, `${row}_row`]));
  return `insert into ${own('pgpubsub_notification')} (channel, payload, context, key)
    select tg_argv[1], (${changeText(operation, members, "'}'")})::json, context, ${key}
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
