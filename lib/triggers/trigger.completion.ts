import { spatialColumns } from './spatial-columns.js';
import type { CatalogTable, Server } from './trigger.catalog.js';
import type { ResolvedTrigger } from './trigger.resolver.js';

/** Returns the columns that are not excluded; undefined if a list is not needed, or not known. */
export const listed = (
  exclude: readonly string[],
  columns: readonly string[] | undefined,
  isSpatial: boolean,
): string[] | undefined =>
  exclude.length === 0 && !isSpatial ? undefined : columns?.filter((column) => !exclude.includes(column));

/** PostgreSQL before 13 rejects whole rows in a WHEN clause on a partitioned table. */
const WHOLE_ROWS_OF_PARTITIONS_SINCE = 130_000;

/** Adds the properties that depend on the server and on an existing table. */
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
