import { spatialColumns } from './spatial-columns.js';
import type { CatalogTable, Server } from './trigger.catalog.js';
import type { ResolvedTrigger } from './trigger.resolver.js';

/** The columns of the table that are not excluded; undefined when there is no need to list them, or when they are not known. */
export const listed = (
  exclude: readonly string[],
  columns: readonly string[] | undefined,
  isSpatial: boolean,
): string[] | undefined =>
  exclude.length === 0 && !isSpatial ? undefined : columns?.filter((column) => !exclude.includes(column));

/** PostgreSQL before 13 takes no whole row in a WHEN clause on a partitioned table. */
const WHOLE_ROWS_OF_PARTITIONS_SINCE = 130_000;

/** Adds what is known only with the server, and with the table, when it is there. */
export function completed(
  trigger: ResolvedTrigger,
  found: CatalogTable | undefined,
  { version, postgis }: Server,
): ResolvedTrigger {
  const spatial = spatialColumns(trigger.mappedSpatial, found, postgis);
  if (found === undefined) return { ...trigger, spatial };
  const columns = trigger.columns ?? listed(trigger.exclude, found.columns, spatial !== undefined);
  const listsAll = found.partitioned && version < WHOLE_ROWS_OF_PARTITIONS_SINCE && trigger.of.length === 0;
  return { ...trigger, columns, spatial, ...(listsAll && { of: found.columns }) };
}
