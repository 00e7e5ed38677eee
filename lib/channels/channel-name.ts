import { PgPubSubError, describeValue } from '../common/errors.js';

/**
 * PostgreSQL's limit (NAMEDATALEN - 1). LISTEN cuts longer names with a mere notice while pg_notify() refuses
 * them, so that the two would never meet.
 */
export const MAX_CHANNEL_BYTES = 63;

/** Throws `INVALID_CHANNEL` for what PostgreSQL cannot take as the name of a channel. */
export function assertChannelName(name: unknown): asserts name is string {
  if (typeof name !== 'string')
    throw invalid(`a name of 1 to ${MAX_CHANNEL_BYTES} bytes`, describeValue(name));
  const bytes = Buffer.byteLength(name);
  if (bytes === 0 || bytes > MAX_CHANNEL_BYTES) {
    throw invalid(
      `1 to ${MAX_CHANNEL_BYTES} bytes long`,
      `${bytes} bytes: ${describeValue(name)}`,
      bytes === 0 ? 'Name it.' : 'Shorten it.',
    );
  }
  if (Buffer.from(name).toString() !== name)
    throw invalid(
      'well-formed Unicode',
      describeValue(name),
      'Use whole characters: half of a surrogate pair has no bytes.',
    );
  if (name.includes('\0'))
    throw invalid(
      'free of NUL characters',
      describeValue(name),
      'Leave them out: PostgreSQL has no such names.',
    );
}

const invalid = (
  expected: string,
  got: string,
  way = 'Name it as other clients will LISTEN and NOTIFY it.',
) => new PgPubSubError('INVALID_CHANNEL', `expected the channel name to be ${expected}, got ${got}. ${way}`);
