import { PgPubSubError, describeValue } from '../common/errors.js';

/**
 * PostgreSQL's limit (NAMEDATALEN - 1). LISTEN truncates a longer name with a notice, pg_notify()
 * rejects it: notifications would never arrive.
 */
export const MAX_CHANNEL_BYTES = 63;

/** Throws `INVALID_CHANNEL` for a name that PostgreSQL does not accept. */
export function assertChannelName(name: unknown): asserts name is string {
  if (typeof name !== 'string')
    throw invalid(`a name of 1 to ${MAX_CHANNEL_BYTES} bytes`, describeValue(name));
  const bytes = Buffer.byteLength(name);
  if (bytes === 0 || bytes > MAX_CHANNEL_BYTES) {
    throw invalid(
      `1 to ${MAX_CHANNEL_BYTES} bytes long`,
      `${bytes} bytes: ${describeValue(name)}`,
      bytes === 0 ? 'Give it a name.' : 'Shorten it.',
    );
  }
  if (Buffer.from(name).toString() !== name)
    throw invalid(
      'well-formed Unicode',
      describeValue(name),
      'Correct it: an unpaired surrogate has no encoding in UTF-8.',
    );
  if (name.includes('\0'))
    throw invalid(
      'free of NUL characters',
      describeValue(name),
      'Remove them: PostgreSQL does not allow them in names.',
    );
}

const invalid = (
  expected: string,
  got: string,
  remedy = 'Pass the name that clients use in LISTEN and NOTIFY.',
) =>
  new PgPubSubError('INVALID_CHANNEL', `expected the channel name to be ${expected}, got ${got}. ${remedy}`);
