import { DataSource, type DataSourceOptions, type EntitySchema } from 'typeorm';
import { buildMetadata } from '../../../lib/postgres/driver.js';
import {
  resolveTriggers,
  type ResolvedTrigger,
  type TriggerDeclaration,
} from '../../../lib/triggers/trigger.resolver.js';

export type Entities = readonly (EntitySchema | (abstract new () => unknown))[];

/** The triggers that a DataSource declares, without a connection. */
export async function resolved(
  entities: Entities,
  declared: readonly TriggerDeclaration[] = [],
  options: Partial<DataSourceOptions> = {},
): Promise<ResolvedTrigger[]> {
  const dataSource = new DataSource({ type: 'postgres', entities, ...options } as DataSourceOptions);
  await buildMetadata(dataSource);
  return resolveTriggers(dataSource, declared, 'storage');
}

/** A resolved trigger of the table `author`, with the defaults of a decorator without options. */
export const trigger = (given: Partial<ResolvedTrigger> = {}): ResolvedTrigger => ({
  what: '@NotifyChanges() on Author',
  schema: 'public',
  table: 'author',
  channel: 'author',
  on: ['insert', 'update', 'delete'],
  level: 'row',
  delivery: 'broadcast',
  columns: undefined,
  exclude: [],
  mappedSpatial: { geoJson: [], text: [] },
  spatial: undefined,
  of: [],
  when: undefined,
  discriminator: undefined,
  ordered: false,
  wake: 'notify',
  storageSchema: 'public',
  primaryKey: ['id'],
  target: undefined,
  definition: undefined,
  options: {},
  ...given,
});
