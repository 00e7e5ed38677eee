import { effectsOf } from '../../../lib/postgres/statement-effects.js';

/** The name of the first statement that is rejected in a text. */
export const rejectedIn = (text: string): string | undefined => effectsOf(text).refusal?.statement;

/** The names of the flags that are set for a text. */
export const flagsOf = (text: string): readonly string[] =>
  Object.entries(effectsOf(text)).flatMap(([flag, value]) => (value === true ? [flag] : []));
