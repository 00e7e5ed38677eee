import type { ClaimListener } from '../../../lib/claims/claim-context.js';
import type { RowFields } from '../../../lib/claims/parse-row.js';

/** A listener with three attempts and pauses of 100 to 1,000 ms. */
export const createListener = (name: string, rest: Partial<ClaimListener> = {}): ClaimListener => ({
  name,
  batch: false,
  concurrency: 1,
  retry: { maxAttempts: 3, minDelayMs: 100, maxDelayMs: 1_000 },
  timeoutMs: 1_000,
  filter: undefined,
  accepts: undefined,
  invoke: () => Promise.resolve(),
  ...rest,
});

/** A row that was never tried, for all listeners. */
export const createFields = (rest: Partial<RowFields> = {}): RowFields => ({
  id: '7',
  lastLocker: '0',
  payload: '{"total":5}',
  isLarge: false,
  context: {},
  key: null,
  attempts: 0,
  createdAt: '1785000000.123456',
  availableAt: '1785000000.123456',
  processId: 42,
  handledBy: [],
  listeners: null,
  retries: new Map(),
  crashCount: 0,
  now: 0,
  matches: [],
  unreadable: undefined,
  ...rest,
});

/** The literals of an SQL text, decoded, and the text without them. */
export function splitLiterals(sql: string): { readonly literals: string[]; readonly rest: string } {
  const literals: string[] = [];
  const rest = sql.replaceAll(
    /(E?)'((?:[^'\\]|''|\\[^])*)'/g, // a plain literal with a backslash is never written
    (_literal, escape: string, body: string) => {
      if (escape === '' && body.includes('\\')) throw new Error(`expected E'…' for ${body}`);
      literals.push(body.replaceAll("''", "'").replaceAll('\\\\', '\\'));
      return '?';
    },
  );
  return { literals, rest };
}
