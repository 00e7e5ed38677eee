import type { Operation } from '../channels/entity-change.js';
import { quoteIdentifier, quoteQualified } from '../common/sql-identifier.js';
import {
  MAX_BYTES,
  READ_CONTEXT,
  READ_ENDING,
  RETURN_IF_DISABLED,
  SEND_HINT,
  SEND_MESSAGE,
  changeText,
  noteVersion,
  orNull,
  truncatedText,
  type ChangedRows,
} from '../storage/change.sql.js';
import { includedObject, geoJsonVariables, keyObject, readGeoJson, rowsOfAny } from './row-members.sql.js';
import type { ResolvedTrigger } from './trigger.resolver.js';

/** The body for rows with some columns: at most 15 lines, to be reviewable; more with GeoJSON. */
export function rowBody(trigger: ResolvedTrigger, operations: readonly Operation[]): string {
  const isStored = trigger.delivery === 'exactly-once';
  const { start, each, end } = isStored ? storedRow(trigger) : sentRow(trigger, operations);
  const branches = operations.map((operation, index) => {
    const { condition = '', statements } = each(operation);
    const test = `${index === 0 ? 'if' : 'elsif'} tg_op = '${operation.toUpperCase()}'${condition} then`;
    const values = rowsOfAny([operation]).flatMap((row) => readGeoJson(trigger, row));
    return values.length === 0
      ? `${test} ${statements}`
      : [test, ...values.map((value) => `  ${value}`), `  ${statements}`].join('\n  ');
  });
  const variables = isStored
    ? 'payload json; context jsonb; row_key text; hint text;'
    : "ending text := '}'; message text;";
  return `
declare ${variables}${geoJsonVariables(trigger, rowsOfAny(operations))}
begin
  ${[RETURN_IF_DISABLED, ...start, ...branches, 'end if;', ...end].join('\n  ')}
  return null;
end `;
}

interface RowLines {
  readonly start: readonly string[];
  /** Returns the conditions of a branch, besides its operation, and its statements. */
  readonly each: (operation: Operation) => { readonly condition?: string; readonly statements: string };
  readonly end: readonly string[];
}

const rowsIn = (trigger: ResolvedTrigger, operation: Operation): ChangedRows =>
  Object.fromEntries(rowsOfAny([operation]).map((row) => [row, includedObject(trigger, row)]));

function sentRow(trigger: ResolvedTrigger, operations: readonly Operation[]): RowLines {
  const { columns = [] } = trigger;
  const keys = Object.fromEntries(
    rowsOfAny(operations).map((row) => {
      const operation = row === 'old' ? 'INSERT' : 'DELETE';
      return [row, orNull(`case when tg_op <> '${operation}' then ${keyObject(trigger, row)} end`)];
    }),
  );
  return {
    start: [READ_ENDING],
    each: (operation) => {
      const small = rowsOfAny([operation]).map((row) => ` and ${isSmall(row, columns)}`);
      const text = changeText(operation, rowsIn(trigger, operation), 'ending');
      return { condition: small.join(''), statements: `message := ${text};` };
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
    const object = keyObject(trigger, row);
    return trigger.ordered ? ` row_key := ${own('pgpubsub_key')}(${object}, tg_argv[5:]);` : '';
  };
  return {
    start: [noteVersion(own('pgpubsub_schema_version')), READ_CONTEXT],
    each: (operation) => ({
      statements: `payload := ${changeText(operation, rowsIn(trigger, operation), "'}'")};${key(operation)}`,
    }),
    end: [
      `insert into ${own('pgpubsub_notification')} (channel, payload, context, key) values (tg_argv[1], payload, context, row_key);`,
      SEND_HINT,
    ],
  };
}

/** Whether the JSON of the included columns can be written: see `pgpubsub_broadcast()`. */
const isSmall = (row: string, columns: readonly string[]): string =>
  `(pg_column_size(${row}) between 0 and 125000 or pg_column_size(row(${columns
    .map((column) => `${row}.${quoteIdentifier(column)}`)
    .join(', ')})) between 0 and 125000)`;
