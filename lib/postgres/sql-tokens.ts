/** One token of an SQL text. `end` is the position after it. */
export interface SqlToken {
  /**
   * `word`: an unquoted identifier or keyword; `quoted`: "an identifier"; `unicode`: U&"an
   * identifier"; `string`: a constant in quotes or between dollar signs; `symbol`: a parameter, or
   * one character of anything else.
   */
  readonly kind: 'word' | 'quoted' | 'unicode' | 'string' | 'symbol';
  /** Words in lower case, identifiers without quotes and escapes, everything else as written. */
  readonly text: string;
  readonly end: number;
}

/** The reading of plain strings, which depends on a setting of the server. */
export interface StringSettings {
  /** Whether a backslash escapes in plain strings: `standard_conforming_strings` is off. */
  readonly backslashes: boolean;
}

/**
 * Separates an SQL text as the scanner of PostgreSQL does (`src/backend/parser/scan.l`), without
 * comments and white space. Supported versions only differ in texts that one of them rejects.
 * Constants and comments without an end extend to the end of the text. The time is linear in the
 * length of the text.
 */
export function* sqlTokens(text: string, settings: StringSettings): Generator<SqlToken, void> {
  let at = endOfBlanks(text, 0);
  while (at < text.length) {
    const token = scanToken(text, at, settings);
    yield token;
    at = endOfBlanks(text, token.end);
  }
}

function scanToken(text: string, at: number, settings: StringSettings): SqlToken {
  const character = text.charAt(at);
  if (isWordStart(text.charCodeAt(at))) return scanWord(text, at);
  if (character === "'") return scanString(text, at, at, { ...settings, doubled: true });
  if (character === '"') return scanQuoted(text, at);
  if (character === '$') return scanDollar(text, at);
  return { kind: 'symbol', text: character, end: at + 1 };
}

/** Scans a word, or a constant with letters in front of its quote: E'', B'', X'', U&'', U&"". */
function scanWord(text: string, at: number): SqlToken {
  const end = endOfWord(text, at);
  const word = text.slice(at, end).toLowerCase();
  if (text[end] === "'") {
    if (word === 'e') return scanString(text, at, end, { backslashes: true, doubled: true });
    if (word === 'b' || word === 'x')
      return scanString(text, at, end, { backslashes: false, doubled: false });
  }
  if (word === 'u' && text.startsWith("&'", end)) return scanString(text, at, end + 1, STANDARD);
  if (word === 'u' && text.startsWith('&"', end)) return scanUnicode(text, end + 1);
  return { kind: 'word', text: word, end };
}

/** The reading of one constant. `doubled`: two quotes stand for one. */
interface StringSyntax extends StringSettings {
  readonly doubled: boolean;
}

const STANDARD: StringSyntax = { backslashes: false, doubled: true };

/** Scans a constant from its first quote, with the parts that continue it on later lines. */
function scanString(text: string, at: number, quote: number, syntax: StringSyntax): SqlToken {
  let end = endOfQuoted(text, quote, syntax);
  for (let next = continuationOf(text, end); next !== undefined; next = continuationOf(text, end))
    end = endOfQuoted(text, next, syntax);
  return { kind: 'string', text: text.slice(at, end), end };
}

/** Returns the quote that continues a constant on a later line; line comments may precede it. */
function continuationOf(text: string, end: number): number | undefined {
  const next = endOfSpaces(text, end);
  return text[next] === "'" && /[\n\r]/.test(text.slice(end, next)) ? next : undefined;
}

function scanQuoted(text: string, at: number): SqlToken {
  const end = endOfQuoted(text, at, STANDARD);
  return { kind: 'quoted', text: text.slice(at + 1, end - 1).replaceAll('""', '"'), end };
}

function scanUnicode(text: string, quote: number): SqlToken {
  const quoted = scanQuoted(text, quote);
  const decoded = quoted.text.replaceAll(UNICODE_ESCAPE, (_escape, short?: string, long?: string) => {
    const point = short ?? long;
    return point === undefined ? '\\' : String.fromCodePoint(Math.min(parseInt(point, 16), 0x10_ff_ff));
  });
  return { kind: 'unicode', text: decoded, end: quoted.end };
}

const UNICODE_ESCAPE = /\\(?:([\da-f]{4})|\+([\da-f]{6})|\\)/gi;

function endOfQuoted(text: string, from: number, { backslashes, doubled }: StringSyntax): number {
  const quote = text[from];
  for (let at = from + 1; at < text.length; at++) {
    const character = text[at];
    if (character === '\\' && backslashes) at++;
    else if (character === quote) {
      if (!doubled || text[at + 1] !== quote) return at + 1;
      at++;
    }
  }
  return text.length;
}

/** Scans a parameter (`$1`), a constant (`$$…$$`, `$tag$…$tag$`), or a single dollar sign. */
function scanDollar(text: string, at: number): SqlToken {
  let end = at + 1;
  if (isDigit(text.charCodeAt(end))) {
    while (isDigit(text.charCodeAt(end))) end++;
    return { kind: 'symbol', text: text.slice(at, end), end };
  }
  while (isTagPart(text.charCodeAt(end))) end++;
  if (text[end] !== '$') return { kind: 'symbol', text: '$', end: at + 1 };
  const tag = text.slice(at, end + 1);
  const closing = text.indexOf(tag, end + 1);
  end = closing === -1 ? text.length : closing + tag.length;
  return { kind: 'string', text: text.slice(at, end), end };
}

function endOfBlanks(text: string, from: number): number {
  let at = endOfSpaces(text, from);
  while (text.startsWith('/*', at)) at = endOfSpaces(text, endOfBlockComment(text, at));
  return at;
}

function endOfSpaces(text: string, from: number): number {
  let at = from;
  while (at < text.length)
    if (isSpace(text.charCodeAt(at))) at++;
    else if (text.startsWith('--', at)) at = endOfLine(text, at);
    else break;
  return at;
}

function endOfLine(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== '\n' && text[at] !== '\r') at++;
  return at;
}

/** Block comments nest. */
function endOfBlockComment(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === '/' && text[at + 1] === '*') depth++;
    else if (text[at] === '*' && text[at + 1] === '/') depth--;
    else continue;
    at++;
    if (depth === 0) return at + 1;
  }
  return text.length;
}

function endOfWord(text: string, from: number): number {
  let at = from + 1;
  while (isTagPart(text.charCodeAt(at)) || text[at] === '$') at++;
  return at;
}

// Character codes. After the end of the text the code is NaN, which matches none of them. Every
// character beyond ASCII belongs to words, even Unicode white space.

const isSpace = (code: number): boolean => code === 0x20 || (code >= 0x09 && code <= 0x0d);

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;

const isWordStart = (code: number): boolean =>
  (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || code === 0x5f || code >= 0x80;

const isTagPart = (code: number): boolean => isWordStart(code) || isDigit(code);

export const isSymbol = (token: SqlToken | undefined, text: string): boolean =>
  token?.kind === 'symbol' && token.text === text;

export const isWord = (token: SqlToken | undefined, text: string): boolean =>
  token?.kind === 'word' && token.text === text;

export const isName = (token: SqlToken | undefined): token is SqlToken =>
  token?.kind === 'word' || token?.kind === 'quoted' || token?.kind === 'unicode';

/** Returns the unquoted word at a position; empty for any other token. */
export const wordAt = (tokens: readonly SqlToken[], index: number): string => {
  const token = tokens[index];
  return token?.kind === 'word' ? token.text : '';
};

/** Returns the words joined by spaces, with nothing in the place of any other token. */
export const wordsOf = (tokens: readonly SqlToken[]): string =>
  tokens.map(({ kind, text }) => (kind === 'word' ? text : '')).join(' ');

/** The number of tokens at the start of a statement that determine its kind. */
const HEAD_LENGTH = 6;

/** A position within a statement: the first tokens, the latest ones, and the open parentheses. */
export class SqlPosition {
  /** The first tokens, after EXPLAIN and its options. */
  readonly head: SqlToken[] = [];
  last: SqlToken | undefined;
  depth = 0;
  protected beforeLast: SqlToken | undefined;
  private thirdLast: SqlToken | undefined;
  private isExplained = false;

  add(token: SqlToken): void {
    if (isSymbol(token, '(')) this.depth++;
    if (this.head.length < HEAD_LENGTH) this.addToHead(token);
    if (isSymbol(token, ')')) this.depth--;
    this.thirdLast = this.beforeLast;
    this.beforeLast = this.last;
    this.last = token;
  }

  private addToHead(token: SqlToken): void {
    if (this.head.length > 0) this.head.push(token);
    else if (isWord(token, 'explain')) this.isExplained = true;
    else if (!this.isExplained || !this.isExplainOption(token)) this.head.push(token);
  }

  private isExplainOption(token: SqlToken): boolean {
    return this.depth > 0 || /^(?:analy[sz]e|verbose)$/.test(token.text);
  }

  /** The function that is called if the next token is an opening parenthesis. */
  get called(): string | undefined {
    return isName(this.last) ? this.last.text : undefined;
  }

  /** Whether the called function may be one of PostgreSQL's: no other schema is given. */
  get isBuiltIn(): boolean {
    return !isSymbol(this.beforeLast, '.') || this.thirdLast?.text === 'pg_catalog';
  }
}
