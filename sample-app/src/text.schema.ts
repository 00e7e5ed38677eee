import { z } from 'zod';

/** Text from a request, without the blanks around it. PostgreSQL stores every character but NUL. */
export const text = (maxLength: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(maxLength)
    .refine((value) => !value.includes('\0'), 'expected text without NUL characters');
