import { dollarQuoted, quoteLiteral, quoteQualified } from '../common/sql-identifier.js';
import {
  COMPLETE_FUNCTION,
  COMPLETION_REFUSED,
  HINT_CHANNEL,
  NOTIFY_FUNCTION,
  VERSION_FUNCTION,
  notificationTable,
  schemaVersion,
  type Storage,
} from './storage.sql.js';

/** A function in PL/pgSQL, with the rights of the caller. */
export interface StorageFunction {
  readonly name: string;
  /** As `pg_get_function_arguments()` writes them. */
  readonly parameters: string;
  /** Their types alone, which tell functions of one name apart. */
  readonly types: string;
  readonly result: string;
  readonly volatility: 'stable' | 'volatile';
  /** What it runs under, whatever the caller has set. */
  readonly settings: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** The newest executed migration: null without any, and for whoever may not read them. Storing must not depend on it. */
const versionFunction = ({ migrationsSchema, migrationsTable }: Storage): StorageFunction => ({
  name: VERSION_FUNCTION,
  parameters: '',
  types: '',
  result: 'text',
  volatility: 'stable',
  settings: [], // it has no operators, and names everything with its schema
  body: `
begin
  return (select name from ${quoteQualified(migrationsSchema, migrationsTable)} order by id desc limit 1);
exception when others then
  return null;
end
`,
});

const TIME = 'timestamp with time zone';

/** What `notify()` does, for psql, triggers of one's own and other languages. Returns the id. */
const notifyFunction = ({ schema }: Storage): StorageFunction => ({
  name: NOTIFY_FUNCTION,
  parameters:
    'channel text, payload json, key text DEFAULT NULL::text, context jsonb DEFAULT NULL::jsonb, ' +
    `available_at ${TIME} DEFAULT NULL::${TIME}`,
  types: `text, json, text, jsonb, ${TIME}`,
  result: 'bigint',
  volatility: 'volatile',
  settings: [['search_path', 'pg_catalog, pg_temp']],
  body: `
declare
  stored bigint;
begin
  if channel is null or octet_length(channel) not between 1 and 63 then
    raise exception 'expected the name of the channel to have 1 to 63 bytes, got %', coalesce(octet_length(channel)::text, 'null') using errcode = 'invalid_parameter_value';
  end if;
  if jsonb_typeof(context) <> 'object' then
    raise exception 'expected the context to be a JSON object, got %', jsonb_typeof(context) using errcode = 'invalid_parameter_value';
  end if;
  insert into ${notificationTable(schema)} as n (channel, payload, key, context, available_at, schema_version)
  values ($1, $2, $3, $4, coalesce($5, clock_timestamp()), ${schemaVersion(schema)})
  returning n.id into stored;
  perform pg_notify(${quoteLiteral(HINT_CHANNEL)}, $1);
  return stored;
end
`,
});

/**
 * Deletes what a claim has handled. Raises when that is not all of it, or when a setting has another value than expected.
 * The plan is kept with the function: as a text of its own the same takes the server three times as long. It names all
 * operators, because the search_path is a setting to be verified. A plan made while the table was small must not read all
 * of it later.
 */
const completeFunction = ({ schema }: Storage): StorageFunction => ({
  name: COMPLETE_FUNCTION,
  parameters: 'ids bigint[], settings text[] DEFAULT NULL::text[], expected text[] DEFAULT NULL::text[]',
  types: 'bigint[], text[], text[]',
  result: 'void',
  volatility: 'volatile',
  settings: [['enable_seqscan', 'off']],
  body: `
declare
  completed integer := 0;
begin
  for i in 1 .. coalesce(pg_catalog.cardinality(settings), 0) loop
    if coalesce(pg_catalog.current_setting(settings[i], true), '') operator(pg_catalog.<>) expected[i] then
      raise exception '${COMPLETION_REFUSED} 0 of %', pg_catalog.cardinality(ids) using detail = pg_catalog.format('%s was changed', settings[i]);
    end if;
  end loop;
  delete from ${notificationTable(schema)} where id operator(pg_catalog.=) any(ids);
  get diagnostics completed = row_count;
  if completed operator(pg_catalog.<>) pg_catalog.cardinality(ids) then
    raise exception '${COMPLETION_REFUSED} % of %', completed, pg_catalog.cardinality(ids);
  end if;
end
`,
});

export const storageFunctions = (storage: Storage): readonly StorageFunction[] => [
  versionFunction(storage),
  notifyFunction(storage),
  completeFunction(storage),
];

export const functionIdentity = (schema: string, { name, types }: StorageFunction): string =>
  `${quoteQualified(schema, name)}(${types})`;

/** Replaces a function of the same types, names and result only. */
export function createStorageFunction(schema: string, definition: StorageFunction): string {
  const { name, parameters, result, volatility, settings, body } = definition;
  const pinned = settings.map(([setting, value]) => ` set ${setting} = ${value}`).join('');
  return (
    `create or replace function ${quoteQualified(schema, name)}(${parameters}) returns ${result} language plpgsql ` +
    `${volatility}${pinned} as ${dollarQuoted(body)}`
  );
}

export const dropStorageFunction = (identity: string): string => `drop function ${identity}`;

export const commentOnFunction = (identity: string, comment: string | null): string =>
  `comment on function ${identity} is ${comment === null ? 'null' : quoteLiteral(comment)}`;
