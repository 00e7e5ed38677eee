/** PostgreSQL's limit for the text of a notification, in bytes. */
export const MAX_BYTES = 7_999;

/** PostgreSQL's errors for a text of more than 1 GB, and for too little memory. */
export const TOO_LARGE = 'internal_error or program_limit_exceeded or out_of_memory';

/**
 * The rows of a change as JSON expressions, never null; undefined for a row that does not exist.
 */
export interface ChangedRows {
  readonly old?: string | undefined;
  readonly new?: string | undefined;
}

/**
 * Returns the text of a change, as an expression in a trigger function whose arguments 2 and 3 are
 * schema and table in JSON. Without `operation`, the expression has that of the statement, which
 * may lack one of the rows. No function contains the expression, because it would need rights of
 * the writer. Texts joined by `||` are faster than concat().
 */
export function changeText(operation: string | undefined, rows: ChangedRows, ending: string): string {
  const name = operation ?? "' || lower(tg_op) || '";
  const row = (start: string, json: string | undefined) =>
    json === undefined ? `${start}null'` : `${start}' || ${json}`;
  const members = [
    row(
      `'{"operation":"${name}","schema":"' || tg_argv[2] || '","table":"' || tg_argv[3] || '","old":`,
      rows.old,
    ),
    row(`',"new":`, rows.new),
  ];
  return [...members, ending].join(' || ').replaceAll("' || '", '');
}

/** Converts an expression of type json, which may be null, to text. */
export const orNull = (json: string): string => `coalesce(${json}::text, 'null')`;

/** The change of a too large row: its primary key, or no row if even that is too large. */
export const truncatedText = (operation: string | undefined, keys: ChangedRows): string =>
  `(select case when octet_length(kept) <= ${MAX_BYTES} then kept else ${leastText(operation)} end ` +
  `from (select ${changeText(operation, keys, `',"truncated":true' || ending`)} as kept offset 0) as kept)`;

export const leastText = (operation: string | undefined): string =>
  changeText(operation, {}, `',"truncated":true}'`);

/**
 * Some members of a row, as json, which keeps numbers exactly. PostgreSQL rejects escapes such as
 * `\u0000` when it reads a member, so they are hidden from it. No backslash is written, because old
 * versions of TypeORM lose them in migrations.
 */
export const membersOf = (row: string, names: string): string =>
  `(select replace(json_object_agg(key, value)::text, chr(92) || 'u005cu', chr(92) || 'u')::json ` +
  `from json_each(replace(${row}::text, chr(92) || 'u', chr(92) || 'u005cu')::json) ` +
  `where key in (select replace(name, chr(92) || 'u', chr(92) || 'u005cu') from unnest(${names}) as name))`;

/** Reads the context into `ending`. Other programs may have set it to a text that is not JSON. */
export const READ_ENDING =
  `if current_setting('pgpubsub.context', true) <> '' then begin ending := ',"context":' || current_setting('pgpubsub.context')::json || '}'; ` +
  'exception when others then null; end; end if;';

/**
 * Sets the schema version once per statement, for the rows that it stores: the default of their
 * column reads it. The statement's time costs half as much as a number than as text.
 */
export const noteVersion = (versionFunction: string): string =>
  `if current_setting('pgpubsub.statement', true) is distinct from date_part('epoch', statement_timestamp())::text then perform set_config('pgpubsub.schema_version', coalesce(${versionFunction}(), ''), true), set_config('pgpubsub.statement', date_part('epoch', statement_timestamp())::text, true); end if;`;

/** Reads the context into `context`, a column of stored rows, if it is a JSON object. */
export const READ_CONTEXT =
  "if current_setting('pgpubsub.context', true) <> '' then begin context := current_setting('pgpubsub.context'); exception when others then null; end; " +
  "if jsonb_typeof(context) <> 'object' then context := null; end if; end if;";

/** The key of a stored row, as an expression; null without arguments for it. */
export const keyText = (row: string, keyFunction: string): string =>
  `case when tg_nargs = 6 and strpos(${row}::text, chr(92) || 'u') = 0 then ${row} ->> tg_argv[5] when tg_nargs > 5 then ${keyFunction}(${row}, tg_argv[5:]) end`;

/** Wakes the processes that claim. PL/pgSQL evaluates an assignment faster than a query. */
export const SEND_HINT = "if tg_argv[4] <> 'poll' then hint := pg_notify('pgpubsub', tg_argv[1]); end if;";

/** Ends a trigger function if triggers are disabled in this transaction. */
export const RETURN_IF_DISABLED =
  "if current_setting('pgpubsub.disabled', true) = 'on' then return null; end if;";

/** Sends the message. `perform` would run a query, which takes several times as long. */
export const SEND_MESSAGE = 'if pg_notify(tg_argv[1], message) is null then null; end if;';

/**
 * Sends a change per row of `rows`, a query that returns the operation's `old_row` and `new_row`.
 */
export const sendEach = (operation: string, rows: string, keys: ChangedRows): string => {
  const row = (name: 'old' | 'new') => (keys[name] === undefined ? undefined : `${name}_row`);
  const text = changeText(operation, { old: row('old'), new: row('new') }, 'ending');
  return `perform pg_notify(tg_argv[1], case when octet_length(text) <= ${MAX_BYTES} then text else ${truncatedText(operation, keys)} end)
    from (select *, ${text} as text from ${rows} as changed offset 0) as changes;`;
};

/**
 * The rows of an update as `old` and `new`, in a trigger function with the transition tables
 * `old_rows` and `new_rows`. They are paired by position: both tables list the rows in the order of
 * their changes, and a primary key may change. Without the inner select, PostgreSQL would confuse
 * dropped columns of the table with the columns after them.
 */
export const UPDATED_ROWS =
  '(select row_number() over () as pgpubsub_position, pgpubsub_row from (select * from old_rows) as pgpubsub_row) as before ' +
  'join (select row_number() over () as pgpubsub_position, pgpubsub_row from (select * from new_rows) as pgpubsub_row) as after using (pgpubsub_position) ' +
  'cross join lateral (select (before.pgpubsub_row).*) as old cross join lateral (select (after.pgpubsub_row).*) as new';
