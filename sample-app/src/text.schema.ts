import { z } from 'zod';

/** Text from a request, trimmed. PostgreSQL cannot store NUL characters. */
export const text = (maxLength: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(maxLength)
    .refine((value) => !value.includes('\0'), 'must not contain NUL characters');
