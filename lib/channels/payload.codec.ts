import { PgPubSubError, messageOf } from '../common/errors.js';
import { findJsonObstacle, type JsonObject, type JsonValue } from '../common/json.js';
import type { ChannelDefinition } from './channel.definition.js';
import { describeIssues, type SchemaResult, type StandardSchema } from './standard-schema.js';
import { encodeWire, writeJson } from './wire.codec.js';

/** PostgreSQL's limit for the text of a NOTIFY, in bytes (8,000 with its terminator). */
export const MAX_NOTIFY_BYTES = 7_999;

/**
 * Checks the payload against the channel's schema. Returns a promise only if the schema does.
 * Throws or rejects with `PAYLOAD_REJECTED`.
 */
export function validatePayload(channel: ChannelDefinition, payload: unknown): unknown {
  if (channel.schema === undefined) return payload;
  const result = runSchema(channel.schema, channel, payload);
  if (!('then' in result)) return acceptedValue(channel, result);
  return Promise.resolve(result).then(
    (settled) => acceptedValue(channel, settled),
    (error: unknown) => Promise.reject(schemaFailed(channel, error)),
  );
}

function runSchema(
  schema: StandardSchema,
  channel: ChannelDefinition,
  payload: unknown,
): SchemaResult<unknown> | Promise<SchemaResult<unknown>> {
  try {
    return schema['~standard'].validate(payload);
  } catch (error) {
    throw schemaFailed(channel, error);
  }
}

const schemaFailed = (channel: ChannelDefinition, cause: unknown) =>
  new PgPubSubError(
    'PAYLOAD_REJECTED',
    `expected the schema of channel "${channel.name}" to check the payload, got an error: ${messageOf(cause)}. Correct the schema.`,
    { cause },
  );

function acceptedValue(channel: ChannelDefinition, result: SchemaResult<unknown>): unknown {
  if (result.issues === undefined) return result.value;
  throw new PgPubSubError(
    'PAYLOAD_REJECTED',
    `expected a payload that the schema of channel "${channel.name}" accepts, got ${describeIssues(result.issues)}. ` +
      'Send what the schema describes, or change the schema for senders and listeners alike.',
  );
}

/**
 * Returns the text of a broadcast. Throws for everything that PostgreSQL or JSON would reject or
 * lose: a failing statement would abort the transaction of the caller.
 */
export function encodeBroadcast(
  channel: ChannelDefinition,
  payload: unknown,
  context: JsonObject | undefined,
): string {
  const json = encodeWithCodec(channel, payload);
  assertJson(channel, 'payload', json);
  if (context !== undefined) assertJson(channel, 'context', context);
  const text = writeText(channel, () => encodeWire(json, context));
  // UTF-8 has 1 to 3 bytes per UTF-16 unit: most texts need no exact count.
  const bytes = text.length * 3 <= MAX_NOTIFY_BYTES ? text.length : Buffer.byteLength(text);
  if (bytes > MAX_NOTIFY_BYTES) throw tooLarge(channel, bytes);
  return text;
}

/** Returns the JSON text of a stored payload of any size; `null` for none. */
export function encodeStored(channel: ChannelDefinition, payload: unknown): string | null {
  const json = encodeWithCodec(channel, payload);
  if (json === undefined) return null;
  assertJson(channel, 'payload', json);
  return writeText(channel, () => writeJson(json));
}

/** Returns the JSON text of a stored context; `null` for none. */
export function encodeContext(channel: ChannelDefinition, context: JsonObject | undefined): string | null {
  if (context === undefined || Object.keys(context).length === 0) return null;
  assertJson(channel, 'context', context);
  const text = writeText(channel, () => writeJson(context));
  if (hasHalfCharacter(text))
    throw invalidPayload(
      channel,
      'a context of well-formed Unicode',
      'an unpaired surrogate',
      'Correct it: PostgreSQL cannot store it in jsonb.',
    );
  return text;
}

function encodeWithCodec(channel: ChannelDefinition, payload: unknown): unknown {
  if (channel.codec === undefined) return payload;
  try {
    return channel.codec.encode(payload);
  } catch (cause) {
    throw invalidPayload(
      channel,
      'the codec to encode the payload',
      messageOf(cause),
      'Correct the codec or the payload.',
      cause,
    );
  }
}

function assertJson(channel: ChannelDefinition, what: string, value: unknown): void {
  const obstacle = findObstacle(value);
  if (obstacle === undefined) return;
  throw invalidPayload(
    channel,
    `a ${what} that JSON can represent`,
    obstacle,
    'Convert it, or give the channel a codec.',
  );
}

/** Returns the reason why JSON cannot represent a value. Deep nesting overflows the stack. */
function findObstacle(value: unknown): string | undefined {
  try {
    return findJsonObstacle(value);
  } catch (error) {
    return error instanceof RangeError ? 'one that is nested too deeply' : messageOf(error);
  }
}

function writeText(channel: ChannelDefinition, write: () => string): string {
  let text: string;
  try {
    text = write();
  } catch (cause) {
    throw invalidPayload(
      channel,
      'a payload that JSON can represent',
      messageOf(cause),
      'Correct its toJSON().',
      cause,
    );
  }
  if (hasNul(text))
    throw invalidPayload(
      channel,
      'text without NUL characters',
      'text with NUL characters',
      'Remove them: PostgreSQL cannot store them in text or jsonb.',
    );
  return text;
}

/** Whether JSON contains NUL: \u0000 after an even number of backslashes. */
const hasNul = (json: string): boolean => json.includes('\\u0000') && /(?<!\\)(?:\\\\)*\\u0000/.test(json);

/** Whether JSON contains an unpaired surrogate; paired ones are not escaped. */
const hasHalfCharacter = (json: string): boolean =>
  json.includes('\\ud') && /(?<!\\)(?:\\\\)*\\ud[89a-f]/.test(json);

/**
 * Decodes a payload with the channel's codec; `input` is JSON, or text if the codec asks for it. A
 * missing payload is decoded, too, as `undefined` or an empty text: a codec that checks signatures
 * must see each notification. Throws `INVALID_PAYLOAD` if the codec throws.
 */
export function decodePayload(channel: ChannelDefinition, input: JsonValue | undefined): unknown {
  const { codec } = channel;
  if (codec === undefined) return input;
  try {
    return codec.decode(input ?? (codec.input === 'text' ? '' : undefined));
  } catch (cause) {
    throw invalidPayload(
      channel,
      'a payload that its codec can decode',
      messageOf(cause),
      'Send it with the same codec.',
      cause,
    );
  }
}

const invalidPayload = (
  channel: ChannelDefinition,
  expected: string,
  got: string,
  remedy: string,
  cause?: unknown,
) =>
  new PgPubSubError(
    'INVALID_PAYLOAD',
    `expected ${expected} for channel "${channel.name}", got ${got}. ${remedy}`,
    { cause },
  );

const tooLarge = (channel: ChannelDefinition, bytes: number) =>
  new PgPubSubError(
    'PAYLOAD_TOO_LARGE',
    `expected the payload for channel "${channel.name}" to be at most ${MAX_NOTIFY_BYTES} bytes, got ${bytes}. ` +
      'Send an id and load the row in the listener, or make the channel exactly-once.',
  );
