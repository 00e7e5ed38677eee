import { Logger } from '@nestjs/common';
import { z } from 'zod';
import { withoutPassword } from './access/database-address.js';

const MAX_PORT = 65_535;

/** What people call processes. As many as a prime number: those started together have their numbers at even distances. */
const DESKS = [
  'Accra', 'Bergen', 'Cairo', 'Dakar', 'Delhi', 'Dublin', 'Geneva', 'Hanoi', 'Havana', 'Jakarta', 'Kyoto',
  'Lagos', 'Lima', 'Lisbon', 'London', 'Madrid', 'Malta', 'Manila', 'Milan', 'Nairobi', 'Oslo', 'Paris',
  'Prague', 'Quito', 'Riga', 'Seoul', 'Sofia', 'Sydney', 'Turin', 'Vienna', 'Zagreb',
]; // prettier-ignore

const Environment = z.object({
  DATABASE_URL: z.string(
    'expected DATABASE_URL to be the address of a PostgreSQL database, such as postgres://user@localhost:5432/newsroom, ' +
      'got none. Set it, or run "npm start", which brings a database of its own.',
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
      `expected PORT to be a number up to ${MAX_PORT} (0: any free port), got another. Correct it or leave it out.`,
    )
    .default('3000')
    .transform(Number),
  ROLE: z
    .enum(
      ['all', 'web', 'listener'],
      'expected ROLE to be all, web or listener, got another. Leave it out for all.',
    )
    .default('all'),
});

/** What a process does: `web` leaves what is stored to others, `listener` has no page, and `all` is both. */
export type Role = z.infer<typeof Environment>['ROLE'];

export interface Settings {
  readonly databaseUrl: string;
  /** The same for people: without a password. */
  readonly databaseAddress: string;
  /** The address that pages are served on: by default this computer only. */
  readonly host: string;
  /** Names besides `localhost` by which browsers open the page, such as that of a proxy. Separated by commas. */
  readonly allowedHosts: readonly string[];
  readonly port: number;
  readonly role: Role;
  /** Of this process, for people: `Cairo-4711`. */
  readonly processName: string;
}

/** What the environment says, read once; without a usable answer the process ends, with a sentence and exit code 1. */
export const settings = readSettings();

function readSettings(): Settings {
  const { DATABASE_URL, HOST, ALLOWED_HOSTS, PORT, ROLE } = process.env;
  // an empty variable is one that is not set
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
