import { AsyncLocalStorage } from 'node:async_hooks';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import { encodeBroadcast, encodeContext, encodeStored, validatePayload } from '../channels/payload.codec.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import { isJsonObject, type JsonObject } from '../common/json.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import { isOneSession, isPool, resolveExecutor, sessionOf } from './executor.js';
import type { Message, Statement } from './statement.js';
import { StatementQueue } from './statement-queue.js';
import type { Statements } from './statements.js';
import type { StoredMessage } from './store.statement.js';

export interface NotifyOptions {
  /**
   * The transaction to join: sent if and only if it commits. Whatever has `query`: EntityManager, QueryRunner,
   * Repository, DataSource.
   */
  manager?: SqlExecutor | undefined;
  /** Exactly-once: notifications with the same key are handled in order, on channels that are `ordered`. */
  key?: string | undefined;
  /** Exactly-once: not before this time. */
  availableAt?: Date | undefined;
  /** Exactly-once: not before so many milliseconds have passed. */
  delayMs?: number | undefined;
  /** Travels beside the payload, over the module's `context`. */
  context?: object | undefined;
}

export interface PublisherOptions {
  readonly statements: Statements;
  /** The DataSource's manager as it is at the time of the call: libraries replace it within their transactions. */
  readonly pool: () => SqlExecutor;
  readonly executor: (() => SqlExecutor | undefined) | undefined;
  /** What everything sent through this executor carries: the module's context, and the transaction's. */
  readonly contextOf: (executor: SqlExecutor) => JsonObject | undefined;
  /** Throws for a text that everybody who listens to the channel would refuse. */
  readonly assertText: (channel: string, text: string) => void;
}

/**
 * Sends notifications: checks them before any SQL, joins the caller's transaction, batches what is sent at the
 * same time. Owned by the module; holds no connection.
 */
export class Publisher {
  private readonly queues = new WeakMap<object, StatementQueue>();
  /** Statements shared by many callers run in nobody's context: another's transaction could be found there. */
  private readonly inRoot = AsyncLocalStorage.snapshot();

  constructor(private readonly options: PublisherOptions) {}

  /** Resolves when the server has taken all of them, in one statement; rejects before any SQL if one is refused. */
  async publish(
    channel: ChannelDefinition,
    payloads: readonly unknown[],
    options: NotifyOptions,
  ): Promise<void> {
    assertOptions(options);
    const isStored = channel.delivery === 'exactly-once';
    if (isStored) assertStored(channel, options);
    else assertBroadcast(channel, options);
    const executor = this.resolveExecutor(options);
    const context = this.resolveContext(executor, options);
    for (const payload of payloads) {
      const checked = validatePayload(channel, payload);
      if (checked instanceof Promise) await checked; // awaiting a value, too, would cost a turn per call
    }
    if (payloads.length === 0) return;
    const { statements } = this.options;
    if (isStored) {
      const messages = storedMessages(channel, payloads, context, options);
      for (const message of messages) this.options.assertText(message.channel, message.payload ?? '');
      return this.send(statements.stored, messages, executor);
    }
    const messages = payloads.map((payload) => ({
      channel: channel.name,
      text: encodeBroadcast(channel, payload, context),
    }));
    for (const message of messages) this.options.assertText(message.channel, message.text);
    return this.send(statements.broadcast, messages, executor);
  }

  private send<M extends Message>(
    statement: Statement<M>,
    messages: readonly M[],
    executor: SqlExecutor,
  ): Promise<void> {
    const pooled = isPool(executor);
    if (!isOneSession(executor)) return new StatementQueue(executor, pooled).send(statement, messages); // shared with nobody
    const session = sessionOf(executor) ?? executor;
    const queue = this.queues.get(session) ?? new StatementQueue(executor, pooled);
    this.queues.set(session, queue);
    return pooled ? this.inRoot(() => queue.send(statement, messages)) : queue.send(statement, messages);
  }

  private resolveExecutor({ manager }: NotifyOptions): SqlExecutor {
    return resolveExecutor(manager ?? this.options.executor?.() ?? this.options.pool());
  }

  private resolveContext(executor: SqlExecutor, { context }: NotifyOptions): JsonObject | undefined {
    if (context !== undefined && !isJsonObject(context)) throw notAContext(context);
    const common = this.options.contextOf(executor);
    return common === undefined ? context : { ...common, ...context };
  }
}

const NOTIFY_OPTIONS = new Set(['manager', 'key', 'availableAt', 'delayMs', 'context']);

/** A misspelt `manager` would send outside of the transaction. */
function assertOptions(options: NotifyOptions): void {
  const unknown = Object.keys(options).find((option) => !NOTIFY_OPTIONS.has(option));
  if (unknown === undefined) return;
  throw new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected only known options for notify() (${[...NOTIFY_OPTIONS].join(', ')}), got "${unknown}". ` +
      'Correct its name; a transaction is given as { manager }.',
  );
}

const EXACTLY_ONCE_OPTIONS = ['key', 'availableAt', 'delayMs'] as const;

function assertBroadcast(channel: ChannelDefinition, options: NotifyOptions): void {
  const surplus = EXACTLY_ONCE_OPTIONS.find((option) => options[option] !== undefined);
  if (surplus === undefined) return;
  throw new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected "${surplus}" for an exactly-once channel only, got it for the broadcast channel "${channel.name}". Leave it out.`,
  );
}

function assertStored(channel: ChannelDefinition, { key, availableAt, delayMs }: NotifyOptions): void {
  const what = `for the channel "${channel.name}"`;
  if (key !== undefined && typeof key !== 'string') throw invalidOption(`"key" ${what} to be a string`, key);
  if (typeof key === 'string' && (key.includes('\0') || Buffer.byteLength(key) > MAX_KEY_BYTES))
    throw invalidOption(`"key" ${what} to be at most ${MAX_KEY_BYTES} bytes without NUL characters`, key);
  if (availableAt !== undefined && !(availableAt instanceof Date && isTimestamp(availableAt)))
    throw invalidOption(`"availableAt" ${what} to be a valid Date of the years 1 to 9999`, availableAt);
  if (delayMs !== undefined && !(typeof delayMs === 'number' && delayMs >= 0 && delayMs <= MAX_DELAY_MS))
    throw invalidOption(
      `"delayMs" ${what} to be a number of milliseconds from 0 to ${MAX_DELAY_MS}`,
      delayMs,
    );
  if (availableAt !== undefined && delayMs !== undefined)
    throw invalidOption(`"availableAt" or "delayMs" ${what}`, 'both');
}

/** Keys are indexed, and an entry of an index has room for little more. */
const MAX_KEY_BYTES = 1_000;
/** A hundred years. */
const MAX_DELAY_MS = 3_155_760_000_000;

/** Other years are written with a sign and six digits, which PostgreSQL cannot read; and it has no year 0. */
const isTimestamp = (date: Date): boolean =>
  !Number.isNaN(date.getTime()) && date.getUTCFullYear() >= 1 && date.getUTCFullYear() <= 9999;

function storedMessages(
  channel: ChannelDefinition,
  payloads: readonly unknown[],
  context: JsonObject | undefined,
  options: NotifyOptions,
): StoredMessage[] {
  const { name, wake } = channel;
  const hints = wake === 'notify';
  const {
    key = null,
    availableAt = null,
    delayMs = null,
  } = options as { [Option in keyof NotifyOptions]: NotifyOptions[Option] | null };
  const text = encodeContext(channel, context);
  return payloads.map((payload) => {
    const json = encodeStored(channel, payload);
    return { channel: name, payload: json, context: text, key, availableAt, delayMs, hints }; // spread, it took twice as long
  });
}

const invalidOption = (expected: string, got: unknown) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected ${expected}, got ${describeValue(got)}. Correct it, or leave it out.`,
  );

const notAContext = (got: unknown) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected "context" to be an object, got ${describeValue(got)}. Name what it says: { tenant }.`,
  );
