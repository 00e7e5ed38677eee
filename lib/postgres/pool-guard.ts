import type { DataSource } from 'typeorm';
import { ROUND_TRIP_MS } from '../common/deadline.js';
import { poolOf, type Pool, type PoolClient } from './driver.js';

/** Longer than a claim waits for a connection: the claim's error names the cause. */
const CONNECT_MS = ROUND_TRIP_MS + 1_000;

interface Guard {
  /** When each connection was opened, in milliseconds of `performance.now()`. */
  readonly openedAt: WeakMap<PoolClient, number>;
  /** The time at which a connection got no answer; all that were opened before are suspect. */
  suspectBefore: number;
  /** Reject the waits for a connection when the pool ends: pg-pool never settles them. */
  readonly waiting: Set<(error: Error) => void>;
}

const guards = new WeakMap<Pool, Guard>();
const guardedDrivers = new WeakSet<object>();

/**
 * Guards the pool of a DataSource, and those that it opens when it is initialized again:
 *
 * - An error of a pooled connection does not end the process. TypeORM and pg-pool leave a new
 *   connection without an `error` listener for one turn, in which a server that shuts down may end
 *   it. The user of the connection still receives an error.
 * - A connection that the server does not answer while it opens is given up, unless the application
 *   has set `connectionTimeoutMillis`. Otherwise it would keep its place in the pool.
 *
 * Idempotent.
 */
export function guardPools(dataSource: DataSource): void {
  guardOf(dataSource);
  const driver = dataSource.driver as { connect(): Promise<void> };
  if (guardedDrivers.has(driver)) return;
  guardedDrivers.add(driver);
  const connect = driver.connect.bind(driver);
  driver.connect = async () => {
    // no deadline: the application initializes its DataSource
    await connect();
    guardOf(dataSource);
  };
}

/** Marks all connections as suspect: one got no answer, and idle ones were likely lost with it. */
export function suspectPool(dataSource: DataSource): void {
  const guard = guardOf(dataSource);
  if (guard) guard.suspectBefore = performance.now();
}

/** Whether another connection of the pool got no answer after this one was opened. */
export function isSuspect(dataSource: DataSource, client: PoolClient): boolean {
  const guard = guardOf(dataSource);
  return guard !== undefined && (guard.openedAt.get(client) ?? 0) < guard.suspectBefore;
}

/** Resolves with a new connection; rejects when the pool ends first. */
export function unlessPoolEnds<T>(dataSource: DataSource, connect: () => Promise<T>): Promise<T> {
  const waiting = guardOf(dataSource)?.waiting;
  return new Promise((resolve, reject) => {
    waiting?.add(reject);
    connect()
      .then(resolve, reject)
      .finally(() => waiting?.delete(reject));
  });
}

function guardOf(dataSource: DataSource): Guard | undefined {
  const pool = poolOf(dataSource);
  if (pool === undefined) return undefined;
  const known = guards.get(pool);
  if (known !== undefined) return known;
  const guard: Guard = { openedAt: new WeakMap(), suspectBefore: 0, waiting: new Set() };
  guards.set(pool, guard);
  pool.on('connect', (client) => {
    guard.openedAt.set(client, performance.now());
    client.on('error', () => undefined);
  });
  limitConnecting(pool);
  rejectAtEnd(pool, guard);
  return guard;
}

/** Limits the client; the pool's option would also limit the wait for a free connection. */
function limitConnecting(pool: Pool): void {
  if (pool.options?.connectionTimeoutMillis) return;
  const { Client } = pool;
  const Limited = limitedClients.get(Client) ?? createLimitedClient(Client);
  limitedClients.set(Client, Limited);
  pool.Client = Limited;
}

type ClientClass = Pool['Client'];

/** The classes by pg's class. Pools share one class, so that V8 compiles it once. */
const limitedClients = new WeakMap<ClientClass, ClientClass>();

const createLimitedClient = (Client: ClientClass): ClientClass =>
  class extends Client {
    constructor(options: object) {
      const own: object = Object.defineProperties({}, Object.getOwnPropertyDescriptors(options)); // the password is not enumerable
      super(Object.assign(own, { connectionTimeoutMillis: CONNECT_MS }));
    }
  };

function rejectAtEnd(pool: Pool, { waiting }: Guard): void {
  const end = pool.end.bind(pool);
  pool.end = (...parameters) => {
    const ending = end(...parameters);
    for (const reject of waiting) reject(new Error('the DataSource was destroyed'));
    return ending;
  };
}
