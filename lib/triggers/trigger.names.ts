import { createHash } from 'node:crypto';
import type { Operation } from '../channels/entity-change.js';

/** PostgreSQL's limit for names, in bytes. */
const MAX_BYTES = 63;

/** The longest name of an operation. */
const LONGEST: Operation = 'truncate';

/**
 * The name of the trigger of one operation. It begins with an underscore: row triggers fire in the order of their names, and ours
 * fires before triggers whose names begin with a lower-case letter. Channels that differ have different names.
 */
export function triggerName(channel: string, operation: Operation): string {
  const isReadable =
    /^[a-z0-9_]+$/.test(channel) &&
    !ENDS_LIKE_HASH.test(channel) &&
    `_pgpubsub_${channel}_${LONGEST}`.length <= MAX_BYTES;
  const stem = isReadable ? `_pgpubsub_${channel}` : shortened('_pgpubsub', [channel], `_${LONGEST}`);
  return `${stem}_${operation}`;
}

/** Such a channel has a hash of its own, or its triggers could have the names of another channel's. */
const ENDS_LIKE_HASH = /_[0-9a-f]{8}$/;

/** The name of the function that a declaration generates: one per table and channel. */
export const functionName = (table: string, channel: string): string =>
  shortened('pgpubsub', [table, channel], CONDITION_SUFFIX);

const CONDITION_SUFFIX = '_when';

/** The name of the function that evaluates a condition which the trigger itself cannot. */
export const conditionFunctionName = (table: string, channel: string): string =>
  `${functionName(table, channel)}${CONDITION_SUFFIX}`;

/** Readable as far as it fits, and a hash that tells similar names apart. */
function shortened(prefix: string, parts: readonly string[], suffix: string): string {
  const readable = [prefix, ...parts]
    .join('_')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_');
  const hash = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 8);
  const stem = prefix.startsWith('_') ? readable : readable.replace(/^_/, '');
  return `${stem.slice(0, MAX_BYTES - suffix.length - hash.length - 1)}_${hash}`;
}
