import { splitJsonObject } from '../common/json-text.js';
import { isJsonObject, type JsonObject, type JsonValue } from '../common/json.js';

/** The content of a broadcast: the JSON value of the payload, and the context beside it. */
export interface WireContent {
  readonly payload: JsonValue | undefined;
  readonly context: JsonObject;
}

/** Marks an envelope of this library, version 1. */
const ENVELOPE_MARK = 'pgpubsub';
const ENVELOPE_VERSION = 1;

const NO_CONTEXT: JsonObject = Object.freeze({});

/**
 * Returns the text of a broadcast. Without context it is the plain JSON of the payload, which every
 * client of PostgreSQL can read; `undefined` is the empty text. A payload that looks like an
 * envelope is put into one, so that it arrives unchanged.
 */
export function encodeWire(payload: unknown, context: JsonObject | undefined): string {
  const text = payload === undefined ? '' : writeJson(payload);
  if (!hasValues(context) && !isEnvelopeText(text)) return text;
  const head = JSON.stringify({ [ENVELOPE_MARK]: ENVELOPE_VERSION, context: context ?? {} });
  return text === '' ? head : `${head.slice(0, -1)},"payload":${text}}`;
}

/** Returns the JSON text of a value. Throws if JSON omits it. */
export function writeJson(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new TypeError('toJSON() returned nothing');
  return text;
}

/** Whether a context has values. `{ tenant: undefined }` has none: the text stays plain JSON. */
const hasValues = (context: JsonObject | undefined): boolean =>
  context !== undefined && Object.values(context).some((value) => value !== undefined);

/** Whether a payload, after its `toJSON()`, would be read as an envelope. */
const isEnvelopeText = (text: string): boolean => isMarked(text) && looksLikeEnvelope(parseJson(text));

/** Whether a text may be an envelope. Senders of this library escape no letter of the mark. */
const isMarked = (text: string): boolean => text.includes(`"${ENVELOPE_MARK}"`);

/** Decodes any text: invalid JSON is a string, an empty text `undefined`. Never throws. */
export function decodeWire(text: string): WireContent {
  const payload = parseJson(text);
  if (!looksLikeEnvelope(payload) || !isMarked(text)) return { payload, context: NO_CONTEXT };
  return { payload: payload.payload, context: payload.context };
}

/** Decodes as `decodeWire()` does, but returns the payload as its original text. Never throws. */
export function splitWire(text: string): WireContent {
  const content = isMarked(text) ? parseJson(text) : undefined;
  if (!looksLikeEnvelope(content)) return { payload: text === '' ? undefined : text, context: NO_CONTEXT };
  return { payload: splitJsonObject(text).get('payload'), context: content.context };
}

function parseJson(text: string): JsonValue | undefined {
  if (text === '') return undefined;
  try {
    // JSON.parse returns JSON values
    return JSON.parse(text) as JsonValue;
  } catch {
    return text;
  }
}

interface Envelope {
  readonly context: JsonObject;
  readonly payload?: JsonValue;
}

const looksLikeEnvelope = (value: unknown): value is Envelope =>
  isJsonObject(value) && value[ENVELOPE_MARK] === ENVELOPE_VERSION && isJsonObject(value['context']);
