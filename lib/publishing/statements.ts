import type { SqlExecutor } from '../common/sql-executor.js';
import type { Outgoing, OutgoingBroadcast, OutgoingStored } from './outgoing.js';
import {
  TEXT_SEPARATOR,
  sendBroadcast,
  sendBroadcasts,
  storeNotification,
  storeNotifications,
  type StoredValue,
} from './publish.sql.js';

/**
 * Sends or stores notifications of one delivery. Concurrent calls of the same delivery share a
 * statement; `countTogether()` returns how many may.
 */
export interface Statement<O extends Outgoing = Outgoing> {
  /** Returns how many of the first calls may share a statement; at least 1. */
  countTogether(calls: readonly { readonly outgoing: readonly O[] }[]): number;
  execute(executor: SqlExecutor, outgoing: readonly O[]): Promise<void>;
}

export interface Statements {
  readonly broadcast: Statement<OutgoingBroadcast>;
  readonly stored: Statement<OutgoingStored>;
}

/** Returns the statements of an instance. `schema` holds the tables; known when connected. */
export const createStatements = (schema: () => string): Statements => ({
  broadcast: broadcastStatement,
  stored: new StoreStatement(schema),
});

/** The maximum number of notifications of several calls in one statement. */
const MAX_SHARED = 1_000;

export const broadcastStatement: Statement<OutgoingBroadcast> = {
  /**
   * Stops at the first repetition: PostgreSQL delivers equal notifications of one transaction once,
   * and each call is a transaction of its own. (PostgreSQL 12 and older compare each with each.)
   */
  countTogether(calls) {
    const seen = new Set<string>();
    let taken = 0;
    for (const { outgoing } of calls) {
      const keys = outgoing.map(({ channel, text }) => `${channel}\0${text}`);
      const isFull = seen.size + keys.length > MAX_SHARED;
      if (taken > 0 && (isFull || keys.some((key) => seen.has(key)))) break;
      for (const key of keys) seen.add(key);
      taken++;
    }
    return taken;
  },

  async execute(executor, outgoing) {
    const [first] = outgoing;
    if (first !== undefined && outgoing.length === 1) {
      // no deadline: a call of the application, limited by the options of its DataSource
      await executor.query(sendBroadcast, [first.channel, first.text]);
      return;
    }
    const channels = outgoing.map(({ channel }) => channel);
    const texts = outgoing.map(({ text }) => TEXT_SEPARATOR + text).join('');
    // no deadline: a call of the application, limited by the options of its DataSource
    await executor.query(sendBroadcasts, [channels, texts]);
  },
};

/** The maximum number of payload characters in a shared statement; the server keeps copies. */
const MAX_STATEMENT_LENGTH = 8_000_000;

/** Stores notifications in `schema`. Owned by the publisher. */
class StoreStatement implements Statement<OutgoingStored> {
  /** Statement texts by shape (values given, hints). There are few shapes, so all are kept. */
  private readonly texts = new Map<string, string>();

  constructor(private readonly schema: () => string) {}

  countTogether(calls: readonly { readonly outgoing: readonly OutgoingStored[] }[]): number {
    let taken = 0;
    let count = 0;
    let length = 0;
    for (const { outgoing } of calls) {
      count += outgoing.length;
      for (const { payload } of outgoing) length += payload?.length ?? 0;
      if (taken > 0 && (count > MAX_SHARED || length > MAX_STATEMENT_LENGTH)) break;
      taken++;
    }
    return taken;
  }

  async execute(executor: SqlExecutor, outgoing: readonly OutgoingStored[]): Promise<void> {
    const [first] = outgoing;
    if (first !== undefined && outgoing.length === 1) return this.storeOne(executor, first);
    const text = this.textOf('many', () => storeNotifications(this.schema()));
    // no deadline: a call of the application, limited by the options of its DataSource
    await executor.query(text, parametersOf(outgoing));
  }

  private async storeOne(executor: SqlExecutor, one: OutgoingStored): Promise<void> {
    const { channel, payload, hints } = one;
    const given = OPTIONAL_VALUES.filter((value) => one[value] !== null);
    const text = this.textOf(`${given.join()} ${hints}`, () =>
      storeNotification(this.schema(), given, hints),
    );
    // no deadline: a call of the application, limited by the options of its DataSource
    await executor.query(text, [channel, payload, ...given.map((value) => parameterOf(one[value]))]);
  }

  private textOf(shape: string, render: () => string): string {
    const text = this.texts.get(shape) ?? render();
    this.texts.set(shape, text);
    return text;
  }
}

const OPTIONAL_VALUES: readonly StoredValue[] = ['context', 'key', 'availableAt', 'delayMs'];

/** Writes a Date in UTC; pg would use the time zone of this process. */
const parameterOf = (value: OutgoingStored[StoredValue]): unknown =>
  value instanceof Date ? value.toISOString() : value;

/** Passes one channel if all notifications have the same, and null for a list without values. */
function parametersOf(outgoing: readonly OutgoingStored[]): unknown[] {
  const channels = new Set<string>();
  const hinted = new Set<string>();
  let payloads = '';
  for (const { channel, payload, hints } of outgoing) {
    channels.add(channel);
    if (hints) hinted.add(channel);
    payloads += payload === null ? TEXT_SEPARATOR : TEXT_SEPARATOR + payload;
  }
  return [
    channels.size === 1 ? [...channels] : outgoing.map(({ channel }) => channel),
    payloads,
    listOf(outgoing, ({ context }) => context),
    listOf(outgoing, ({ key }) => key),
    listOf(outgoing, ({ availableAt }) => availableAt?.toISOString() ?? null),
    listOf(outgoing, ({ delayMs }) => delayMs),
    [...hinted],
  ];
}

function listOf<T>(
  outgoing: readonly OutgoingStored[],
  valueOf: (one: OutgoingStored) => T | null,
): (T | null)[] | null {
  return outgoing.some((one) => valueOf(one) !== null) ? outgoing.map(valueOf) : null;
}
