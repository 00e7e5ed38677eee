import { InvalidArgumentError } from 'commander';

export function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new InvalidArgumentError('Expected a whole number of at least 1.');
  return count;
}

/** A hundred years, because PostgreSQL's intervals are limited. */
const MAX_SECONDS = 3_155_760_000;

export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !Number.isFinite(seconds) || seconds < 0 || seconds > MAX_SECONDS)
    throw new InvalidArgumentError(`Expected a number of seconds, from 0 to ${MAX_SECONDS}.`);
  return seconds;
}
