import type { Operation } from '../channels/entity-change.js';
import { quoteQualified } from '../common/sql-identifier.js';
import {
  MAX_BYTES,
  READ_CONTEXT,
  READ_ENDING,
  RETURN_IF_DISABLED,
  SEND_HINT,
  SEND_MESSAGE,
  TOO_LARGE,
  UPDATED_ROWS,
  changeText,
  leastText,
  membersOf,
  noteVersion,
  orNull,
  sendEach,
  truncatedText,
  type ChangedRows,
} from '../storage/change.sql.js';
import { rowsClause } from './condition.js';
import {
  includedObject,
  hasGeoJson,
  geoJsonVariables,
  keyObject,
  readGeoJson,
  rowsOfAny,
  valueOfRow,
  type Row,
  type ValueOf,
} from './row-members.sql.js';
import type { ResolvedTrigger } from './trigger.resolver.js';

/** The body for the rows of a statement that match a condition, or include some columns. */
export function statementBody(trigger: ResolvedTrigger, operations: readonly Operation[]): string {
  const own = (name: string) => quoteQualified(trigger.storageSchema, name);
  const isStored = trigger.delivery === 'exactly-once';
  const branches = operations.map((operation, index) => {
    const start = `${index === 0 ? 'if' : 'elsif'} tg_op = '${operation.toUpperCase()}' then`;
    return `${start}\n    ${handleRows(trigger, operation)}`;
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
  ${variables}${hasGeoJson(trigger) ? loopVariables(trigger, operations) : ''}
begin
  ${RETURN_IF_DISABLED}
  ${start}
  ${branches.join('\n  ')}
  end if;
  ${end}
end
`;
}

/** Handles the rows in one query; GeoJSON needs a loop, to catch the error of one value. */
function handleRows(trigger: ResolvedTrigger, operation: Operation): string {
  if (hasGeoJson(trigger)) return loopOverRows(trigger, operation);
  return trigger.delivery === 'exactly-once'
    ? storeRows(trigger, operation)
    : sendEach(operation, rowsOf(trigger, operation), keysOf(trigger, operation));
}

const loopVariables = (trigger: ResolvedTrigger, operations: readonly Operation[]): string =>
  ` item record; message text; old_row json; new_row json; old_key json; new_key json;${geoJsonVariables(trigger, rowsOfAny(operations))}`;

/** Numbers the columns of `item` by position among the included columns and the primary key. */
function loopOverRows(trigger: ResolvedTrigger, operation: Operation): string {
  const rows = rowsOfAny([operation]);
  const names = [...new Set([...(trigger.columns ?? []), ...trigger.primaryKey])];
  const position = (row: Row, column: string) => `${row}_${names.indexOf(column) + 1}`;
  const valueOf: ValueOf = (row, column) => `item.${position(row, column)}`;
  const list = rows.flatMap((row) =>
    names.map((name) => `${valueOfRow(row, name)} as ${position(row, name)}`),
  );
  const clause = rowsClause(trigger, operation);
  const lines = [
    ...rows.flatMap((row) => [
      ...readGeoJson(trigger, row, valueOf),
      `${row}_row := ${includedObject(trigger, row, valueOf)};`,
    ]),
    ...(trigger.delivery === 'exactly-once' ? storeItem : sendItem)(trigger, operation, valueOf),
  ];
  return `for item in select ${list.join(', ')} from ${sourceOf(trigger, operation)}${clause === undefined ? '' : ` where (${clause})`} loop
      ${lines.join('\n      ')}
    end loop;`;
}

function sendItem(trigger: ResolvedTrigger, operation: Operation, valueOf: ValueOf): string[] {
  const rows = rowsOfAny([operation]);
  return [
    `message := ${changeText(operation, variables(rows, 'row'), 'ending')};`,
    `if octet_length(message) > ${MAX_BYTES} then`,
    ...rows.map((row) => `  ${row}_key := ${keyObject(trigger, row, valueOf)};`),
    `  message := ${truncatedText(operation, variables(rows, 'key'))};`,
    'end if;',
    SEND_MESSAGE,
  ];
}

function storeItem(trigger: ResolvedTrigger, operation: Operation, valueOf: ValueOf): string[] {
  const own = (name: string) => quoteQualified(trigger.storageSchema, name);
  const rows = rowsOfAny([operation]);
  const [keyRow = 'new'] = rows;
  const key = trigger.ordered
    ? `${own('pgpubsub_key')}(${keyObject(trigger, keyRow, valueOf)}, tg_argv[5:])`
    : 'null';
  return [
    `insert into ${own('pgpubsub_notification')} (channel, payload, context, key)`,
    `values (tg_argv[1], (${changeText(operation, variables(rows, 'row'), "'}'")})::json, context, ${key});`,
  ];
}

const variables = (rows: readonly Row[], kind: 'row' | 'key'): ChangedRows =>
  Object.fromEntries(rows.map((row) => [row, `${row}_${kind}`]));

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
  return `insert into ${own('pgpubsub_notification')} (channel, payload, context, key)
    select tg_argv[1], (${changeText(operation, variables(rows, 'row'), "'}'")})::json, context, ${key}
    from ${rowsOf(trigger, operation)} as changed;`;
}

/** The matching rows. `offset 0` keeps the planner from repeating their JSON at each mention. */
function rowsOf(trigger: ResolvedTrigger, operation: Operation): string {
  const members = rowsOfAny([operation]).flatMap((row) => [
    `${trigger.columns === undefined ? `row_to_json(${row}.*)` : includedObject(trigger, row)} as ${row}_row`,
    ...(trigger.columns === undefined ? [] : [`${keyObject(trigger, row)} as ${row}_key`]),
  ]);
  const clause = rowsClause(trigger, operation);
  return `(select ${members.join(', ')} from ${sourceOf(trigger, operation)}${clause === undefined ? '' : ` where (${clause})`} offset 0)`;
}

/** The source of the rows. In a condition, the row that the operation does not have is null. */
function sourceOf({ when }: ResolvedTrigger, operation: Operation): string {
  const nothing = (rows: string, alias: string) =>
    when === undefined ? '' : ` left join ${rows} as ${alias} on false`;
  if (operation === 'insert') return `new_rows as new${nothing('new_rows', 'old')}`;
  if (operation === 'delete') return `old_rows as old${nothing('old_rows', 'new')}`;
  return UPDATED_ROWS;
}
