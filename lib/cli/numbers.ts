import { InvalidArgumentError } from 'commander';

/** A whole number, one or more. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new InvalidArgumentError('Expected a whole number from 1 on.');
  return count;
}

/** A hundred years: PostgreSQL's intervals have an end. */
const MAX_SECONDS = 3_155_760_000;

/** A number of seconds, from zero to a hundred years. */
export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !Number.isFinite(seconds) || seconds < 0 || seconds > MAX_SECONDS)
    throw new InvalidArgumentError(`Expected a number of seconds, from 0 to ${MAX_SECONDS}.`);
  return seconds;
}
