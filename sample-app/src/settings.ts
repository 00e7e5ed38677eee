import { Logger } from '@nestjs/common';
import { z } from 'zod';

const MAX_PORT = 65_535;

const Environment = z.object({
  DATABASE_URL: z.string(
    'expected DATABASE_URL to be the address of a PostgreSQL database, such as postgres://user@localhost:5432/newsroom, ' +
      'got none. Set it, or run "npm start", which brings a database of its own.',
  ),
  PORT: z
    .string()
    .refine(
      (port) => /^\d{1,5}$/.test(port) && Number(port) <= MAX_PORT,
      `expected PORT to be a number up to ${MAX_PORT} (0: any free port), got another. Correct it or leave it out.`,
    )
    .default('3000')
    .transform(Number),
});

/** What the environment says, read once; without a usable answer the process ends, with a sentence and exit code 1. */
export const settings = readSettings();

function readSettings(): { databaseUrl: string; port: number } {
  const { DATABASE_URL, PORT } = process.env;
  // an empty variable is one that is not set
  const parsed = Environment.safeParse({ DATABASE_URL: DATABASE_URL || undefined, PORT: PORT || undefined });
  if (parsed.success) return { databaseUrl: parsed.data.DATABASE_URL, port: parsed.data.PORT };
  const logger = new Logger('Newsroom');
  for (const { message } of parsed.error.issues) logger.fatal(message);
  return process.exit(1);
}
