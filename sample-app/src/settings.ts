import { Logger } from '@nestjs/common';
import { z } from 'zod';
import { withoutPassword } from './access/database-address.js';

const MAX_PORT = 65_535;

/**
 * Names for processes. Their number is prime: ids of processes that start together are often evenly
 * spaced.
 */
const DESKS = [
  'Accra', 'Bergen', 'Cairo', 'Dakar', 'Delhi', 'Dublin', 'Geneva', 'Hanoi', 'Havana', 'Jakarta', 'Kyoto',
  'Lagos', 'Lima', 'Lisbon', 'London', 'Madrid', 'Malta', 'Manila', 'Milan', 'Nairobi', 'Oslo', 'Paris',
  'Prague', 'Quito', 'Riga', 'Seoul', 'Sofia', 'Sydney', 'Turin', 'Vienna', 'Zagreb',
]; // prettier-ignore

const Environment = z.object({
  DATABASE_URL: z.string(
    'DATABASE_URL is not set. Set it to the address of a PostgreSQL database, such as ' +
      'postgres://user@localhost:5432/newsroom, or run "npm start", which starts a database.',
  ),
  HOST: z.string().default('localhost'),
  ALLOWED_HOSTS: z
    .string()
    .default('')
    .transform((names) =>
      names
        .toLowerCase()
        .split(',')
        .flatMap((name) => name.trim() || []),
    ),
  PORT: z
    .string()
    .refine(
      (port) => /^\d{1,5}$/.test(port) && Number(port) <= MAX_PORT,
      `PORT must be a number from 0 to ${MAX_PORT} (0: any free port). Correct it, or remove it for 3000.`,
    )
    .default('3000')
    .transform(Number),
  ROLE: z
    .enum(['all', 'web', 'listener'], 'ROLE must be all, web or listener. Correct it, or remove it for all.')
    .default('all'),
});

/** `web` serves pages, `listener` handles stored notifications, `all` does both. */
export type Role = z.infer<typeof Environment>['ROLE'];

export interface Settings {
  readonly databaseUrl: string;
  /** The same without a password, for output. */
  readonly databaseAddress: string;
  /** The address that pages are served on. The default is reachable from this computer only. */
  readonly host: string;
  /** Host names besides `localhost` at which browsers open the page, such as that of a proxy. */
  readonly allowedHosts: readonly string[];
  readonly port: number;
  readonly role: Role;
  /** A readable name of this process: `Cairo-4711`. */
  readonly processName: string;
}

/**
 * The settings from the environment. Invalid ones end the process with a message and exit code 1.
 */
export const settings = readSettings();

function readSettings(): Settings {
  const { DATABASE_URL, HOST, ALLOWED_HOSTS, PORT, ROLE } = process.env;
  // empty variables count as not set
  const given = Object.entries({ DATABASE_URL, HOST, ALLOWED_HOSTS, PORT, ROLE }).filter(
    ([, value]) => value,
  );
  const { success, data, error } = Environment.safeParse(Object.fromEntries(given));
  if (success)
    return {
      databaseUrl: data.DATABASE_URL,
      databaseAddress: withoutPassword(data.DATABASE_URL),
      host: data.HOST,
      allowedHosts: [data.HOST.toLowerCase(), ...data.ALLOWED_HOSTS],
      port: data.PORT,
      role: data.ROLE,
      processName: nameOf(process.pid),
    };
  const logger = new Logger('Newsroom');
  for (const { message } of error.issues) logger.fatal(message);
  return process.exit(1);
}

function nameOf(pid: number): string {
  return `${DESKS[pid % DESKS.length]}-${pid}`;
}
