import { quoteIdentifier, quoteQualified } from '../common/sql-identifier.js';

/** Stored notifications that wait for their listeners. */
export const NOTIFICATION_TABLE = 'pgpubsub_notification';
/** Those that their listener has given up on. */
export const DEAD_LETTER_TABLE = 'pgpubsub_dead_letter';
/** How SQL stores a notification. */
export const NOTIFY_FUNCTION = 'pgpubsub_notify';
/** Completes what a claim has handled, or raises. */
export const COMPLETE_FUNCTION = 'pgpubsub_complete';
/** Begins the message that `pgpubsub_complete()` raises with. */
export const COMPLETION_REFUSED = 'pgpubsub: completed';
/** The newest executed migration. */
export const VERSION_FUNCTION = 'pgpubsub_schema_version';

/** Wakes the processes that claim; its payload is the channel's name, so that hints of a transaction fold into one. */
export const HINT_CHANNEL = 'pgpubsub';

/** Where the library's own objects are, and where TypeORM keeps its list of migrations. */
export interface Storage {
  readonly schema: string;
  readonly migrationsSchema: string;
  readonly migrationsTable: string;
}

export interface StorageColumn {
  readonly name: string;
  /** As `format_type()` writes it. */
  readonly type: string;
  readonly notNull: boolean;
  /** As `pg_get_expr()` writes it. */
  readonly default?: string | undefined;
  readonly identity?: 'by default' | 'always' | undefined;
}

const column = (name: string, type: string, rest: Partial<StorageColumn> = {}): StorageColumn => ({
  name,
  type,
  notNull: false,
  ...rest,
});

const time = 'timestamp with time zone';

/** What a stored notification says; the same in both tables. */
const COMMON_COLUMNS: readonly StorageColumn[] = [
  column('channel', 'text', { notNull: true }),
  column('payload', 'json'), // null: notify() without a payload
  column('context', 'jsonb'),
  column('key', 'text'),
  column('created_at', time, { notNull: true, default: 'clock_timestamp()' }),
  column('available_at', time, { notNull: true, default: 'clock_timestamp()' }),
  column('attempts', 'integer', { notNull: true, default: '0' }),
  /** Listeners that are done with it: they have succeeded, or given up. */
  column('handled_by', 'text[]', { notNull: true, default: "'{}'::text[]" }),
  column('last_error', 'text'),
  column('schema_version', 'text'),
  /** Of the sender's session. */
  column('process_id', 'integer', { default: 'pg_backend_pid()' }),
];

export const NOTIFICATION_COLUMNS: readonly StorageColumn[] = [
  column('id', 'bigint', { notNull: true, identity: 'by default' }),
  ...COMMON_COLUMNS,
  /** Only these are meant; null: all. Set for dead letters that are tried again. */
  column('listeners', 'text[]'),
  /** By listener that has failed: how often, and when it is due again. */
  column('retries', 'jsonb'),
  /** Claims that ended with their connection. From the first on it is handled alone. */
  column('deaths', 'integer', { notNull: true, default: '0' }),
];

export const DEAD_LETTER_COLUMNS: readonly StorageColumn[] = [
  column('id', 'bigint', { notNull: true }),
  ...COMMON_COLUMNS,
  column('died_at', time, { notNull: true, default: 'clock_timestamp()' }),
  column('listener', 'text', { notNull: true }),
];

/** Rows live for milliseconds: vacuum by their number, and without pauses. */
const TABLE_SETTINGS = [
  ['autovacuum_vacuum_scale_factor', '0'],
  ['autovacuum_vacuum_threshold', '5000'],
  ['autovacuum_vacuum_cost_delay', '0'],
] as const;

export interface StorageIndex {
  readonly name: string;
  readonly table: string;
  /** What follows `on <table> `, as `pg_get_indexdef()` writes it. */
  readonly definition: string;
}

export const STORAGE_INDEXES: readonly StorageIndex[] = [
  {
    name: `${NOTIFICATION_TABLE}_claim`,
    table: NOTIFICATION_TABLE,
    definition: 'USING btree (channel, available_at, id)',
  },
  {
    name: `${NOTIFICATION_TABLE}_key`,
    table: NOTIFICATION_TABLE,
    definition: 'USING btree (channel, key, id) WHERE (key IS NOT NULL)',
  },
];

export interface StorageTable {
  readonly name: string;
  readonly columns: readonly StorageColumn[];
  readonly primaryKey: readonly string[];
  readonly settings: readonly (readonly [name: string, value: string])[];
}

export const STORAGE_TABLES: readonly StorageTable[] = [
  {
    name: NOTIFICATION_TABLE,
    columns: NOTIFICATION_COLUMNS,
    primaryKey: ['id'],
    settings: TABLE_SETTINGS,
  },
  { name: DEAD_LETTER_TABLE, columns: DEAD_LETTER_COLUMNS, primaryKey: ['id', 'listener'], settings: [] },
];

export const notificationTable = (schema: string): string => quoteQualified(schema, NOTIFICATION_TABLE);
export const deadLetterTable = (schema: string): string => quoteQualified(schema, DEAD_LETTER_TABLE);

/** Of the transaction's time of storing, once per statement: `(select …)` around it. */
export const schemaVersion = (schema: string): string => `${quoteQualified(schema, VERSION_FUNCTION)}()`;

export const columnDefinition = ({ name, type, notNull, default: value, identity }: StorageColumn): string =>
  [
    quoteIdentifier(name),
    type,
    identity && `generated ${identity} as identity`,
    notNull && 'not null',
    value !== undefined && `default ${value}`,
  ]
    .filter(Boolean)
    .join(' ');

export const primaryKeyName = ({ name }: StorageTable): string => `${name}_pkey`;

export const createTable = (schema: string, table: StorageTable): string =>
  createTableOf(
    schema,
    table.name,
    [
      ...table.columns.map(columnDefinition),
      `constraint ${quoteIdentifier(primaryKeyName(table))} primary key (${table.primaryKey.join(', ')})`,
    ],
    table.settings.map(([name, value]) => `${name}=${value}`),
  );

export function createTableOf(
  schema: string,
  name: string,
  members: readonly string[],
  settings: readonly string[],
): string {
  const parameters = settings.length === 0 ? '' : ` with (${settings.join(', ')})`;
  return `create table ${quoteQualified(schema, name)} (${members.join(', ')})${parameters}`;
}

export const createIndex = (schema: string, { name, table, definition }: StorageIndex): string =>
  `create index ${quoteIdentifier(name)} on ${quoteQualified(schema, table)} ${definition}`;
