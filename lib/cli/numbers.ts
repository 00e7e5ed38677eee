import { InvalidArgumentError } from 'commander';

/** A whole number, one or more. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new InvalidArgumentError('Expected a whole number, 1 or more.');
  return count;
}

/** A number of seconds, zero or more. */
export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !Number.isFinite(seconds) || seconds < 0)
    throw new InvalidArgumentError('Expected a number of seconds, 0 or more.');
  return seconds;
}
