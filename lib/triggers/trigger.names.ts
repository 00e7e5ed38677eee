import { createHash } from 'node:crypto';
import type { Operation } from '../channels/entity-change.js';

/** PostgreSQL's limit for names, in bytes. */
const MAX_BYTES = 63;

const LONGEST: Operation = 'truncate';

/**
 * Returns the name of the trigger of one operation. The underscore at its start lets ours fire
 * before triggers whose names begin with a lower-case letter: row triggers fire in the order of
 * their names. Channels that differ have different names.
 */
export function triggerName(channel: string, operation: Operation): string {
  const isReadable =
    /^[a-z0-9_]+$/.test(channel) &&
    !ENDS_LIKE_HASH.test(channel) &&
    `_pgpubsub_${channel}_${LONGEST}`.length <= MAX_BYTES;
  const stem = isReadable ? `_pgpubsub_${channel}` : shortened('_pgpubsub', [channel], `_${LONGEST}`);
  return `${stem}_${operation}`;
}

/** Such a channel gets a hash, or its triggers could have the names of another channel's. */
const ENDS_LIKE_HASH = /_[0-9a-f]{8}$/;

/** Returns the name of a generated function: one per table and channel. */
export const functionName = (table: string, channel: string): string =>
  shortened('pgpubsub', [table, channel], CONDITION_SUFFIX);

const CONDITION_SUFFIX = '_when';

/** Returns the name of the function of a condition that the trigger cannot evaluate itself. */
export const conditionFunctionName = (table: string, channel: string): string =>
  `${functionName(table, channel)}${CONDITION_SUFFIX}`;

/** Shortens a name to the limit, with a hash that distinguishes similar names. */
function shortened(prefix: string, parts: readonly string[], suffix: string): string {
  const readable = [prefix, ...parts]
    .join('_')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_');
  const hash = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 8);
  const stem = prefix.startsWith('_') ? readable : readable.replace(/^_/, '');
  return `${stem.slice(0, MAX_BYTES - suffix.length - hash.length - 1)}_${hash}`;
}
