/**
 * Splits JSON into the members of its outermost object or array, each as its original text.
 * `JSON.parse` would round a bigint and drop the trailing zeros of a numeric; the caller, which
 * knows the type of a member, reads it from its text.
 *
 * Members are checked only as far as needed to find their ends: brackets match, strings end,
 * literals are valid. Text that is not JSON throws a `SyntaxError`, as `JSON.parse` does.
 */

/** Returns the members of the JSON object `text` in order; the last one of equal keys counts. */
export function splitJsonObject(text: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  forEachMember(text, (key, source) => members.set(key, source));
  return members;
}

/** Visits the members of the JSON object `text` in order. */
export function forEachMember(text: string, visit: (key: string, source: string) => void): void {
  let at = afterSpace(text, afterCharacter(text, afterSpace(text, 0), OPEN_BRACE));
  if (text.charCodeAt(at) === CLOSE_BRACE) return assertEnd(text, at + 1);
  for (;;) {
    const keyEnd = endOfString(text, at);
    const start = afterSpace(text, afterCharacter(text, afterSpace(text, keyEnd), COLON));
    const end = endOfValue(text, start);
    visit(readKey(text, at, keyEnd), text.slice(start, end));
    at = afterSpace(text, end);
    if (text.charCodeAt(at) === CLOSE_BRACE) return assertEnd(text, at + 1);
    at = afterSpace(text, afterCharacter(text, at, COMMA));
  }
}

/** Returns the elements of the JSON array `text`. */
export function splitJsonArray(text: string): string[] {
  const elements: string[] = [];
  let at = afterSpace(text, afterCharacter(text, afterSpace(text, 0), OPEN_BRACKET));
  while (elements.length > 0 || text.charCodeAt(at) !== CLOSE_BRACKET) {
    const end = endOfValue(text, at);
    elements.push(text.slice(at, end));
    at = afterSpace(text, end);
    if (text.charCodeAt(at) === CLOSE_BRACKET) break;
    at = afterSpace(text, afterCharacter(text, at, COMMA));
  }
  assertEnd(text, at + 1);
  return elements;
}

/** Parses as `JSON.parse` does, but keeps numbers that JavaScript would round, as strings. */
export const parseLossless = (text: string): unknown =>
  JSON.parse(
    text.replaceAll(STRING_OR_NUMBER, (token) =>
      token.startsWith('"') || keepsDigits(token) ? token : `"${token}"`,
    ),
  );

const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/gs;

/** Whether JavaScript represents a number with all its digits; fifteen always fit. */
const keepsDigits = (number: string): boolean =>
  /^[^eE]{1,15}$/.test(number) || digitsOf(number) === digitsOf(String(Number(number)));

/** Returns the digits of a number and their position, equal for `1.10` and `11e-1`. Linear time. */
function digitsOf(number: string): string {
  const [mantissa = '', exponent = '0'] = number.toLowerCase().split('e');
  const [whole = '', fraction = ''] = mantissa.replace('-', '').split('.');
  const digits = `${whole}${fraction}`;
  const start = digits.search(/[1-9]/);
  if (start === -1) return '0';
  let end = digits.length;
  while (digits.charCodeAt(end - 1) === ZERO) end--;
  return `${digits.slice(start, end)}e${Number(exponent) + whole.length - start}`;
}

const ZERO = 0x30;

/** Returns the value of a JSON string; `source` includes its quotes. */
export const readJsonString = (source: string): string => JSON.parse(source) as string; // a JSON string

/** Parses only keys with escapes; most are plain names. */
function readKey(text: string, at: number, end: number): string {
  const key = text.slice(at + 1, end - 1);
  return key.includes('\\') ? readJsonString(text.slice(at, end)) : key;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const LITERAL = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/;

function assertEnd(text: string, end: number): void {
  const rest = afterSpace(text, end);
  if (rest < text.length) throw unexpected(text, rest, 'the end');
}

const SPACE = 0x20;
const isSpace = (code: number): boolean =>
  code <= SPACE && (code === SPACE || code === 0x0a || code === 0x0d || code === 0x09);

function afterSpace(text: string, at: number): number {
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

function afterCharacter(text: string, at: number, code: number): number {
  if (text.charCodeAt(at) !== code) throw unexpected(text, at, JSON.stringify(String.fromCharCode(code)));
  return at + 1;
}

function endOfValue(text: string, at: number): number {
  const code = text.charCodeAt(at);
  if (code === QUOTE) return endOfString(text, at);
  if (code === OPEN_BRACE || code === OPEN_BRACKET) return endOfContainer(text, at);
  return endOfLiteral(text, at);
}

function endOfString(text: string, at: number): number {
  afterCharacter(text, at, QUOTE);
  let end = at;
  do end = text.indexOf('"', end + 1);
  while (end !== -1 && isEscaped(text, end));
  if (end === -1) throw unexpected(text, text.length, 'the end of a string');
  return end + 1;
}

function isEscaped(text: string, at: number): boolean {
  let first = at;
  while (text.charCodeAt(first - 1) === BACKSLASH) first--;
  return (at - first) % 2 === 1;
}

/** Loops instead of recursing: a json column may be nested arbitrarily deep. */
function endOfContainer(text: string, at: number): number {
  const closers: number[] = [];
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
      continue;
    }
    at++;
    if (code === OPEN_BRACE) closers.push(CLOSE_BRACE);
    else if (code === OPEN_BRACKET) closers.push(CLOSE_BRACKET);
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      if (closers.pop() !== code) throw unexpected(text, at - 1, 'the matching bracket');
      if (closers.length === 0) return at;
    }
  }
  throw unexpected(text, at, 'the end of an object or array');
}

function endOfLiteral(text: string, at: number): number {
  let end = at;
  while (end < text.length && !endsLiteral(text.charCodeAt(end))) end++;
  if (!LITERAL.test(text.slice(at, end))) throw unexpected(text, at, 'a JSON value');
  return end;
}

const endsLiteral = (code: number): boolean =>
  code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || isSpace(code);

function unexpected(text: string, at: number, expected: string): SyntaxError {
  const got = at < text.length ? JSON.stringify(text.slice(at, at + 20)) : 'the end of the text';
  return new SyntaxError(`expected ${expected} at position ${at} of the JSON text, got ${got}`);
}
