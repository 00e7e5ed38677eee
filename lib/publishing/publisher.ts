import { AsyncLocalStorage } from 'node:async_hooks';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import { encodeBroadcast, validatePayload } from '../channels/payload.codec.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import { isJsonObject, type JsonObject } from '../common/json.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import { isOneSession, isPool, resolveExecutor, sessionOf } from './executor.js';
import { StatementQueue } from './statement-queue.js';

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
    assertBroadcast(channel, options);
    const executor = this.resolveExecutor(options);
    const context = this.resolveContext(executor, options);
    for (const payload of payloads) {
      const checked = validatePayload(channel, payload);
      if (checked instanceof Promise) await checked; // awaiting a value, too, would cost a turn per call
    }
    const messages = payloads.map((payload) => ({
      channel: channel.name,
      text: encodeBroadcast(channel, payload, context),
    }));
    for (const message of messages) this.options.assertText(message.channel, message.text);
    if (messages.length > 0) await this.send(messages, executor);
  }

  private send(messages: readonly { channel: string; text: string }[], executor: SqlExecutor): Promise<void> {
    const pooled = isPool(executor);
    if (!isOneSession(executor)) return new StatementQueue(executor, pooled).send(messages); // shared with nobody
    const session = sessionOf(executor) ?? executor;
    const queue = this.queues.get(session) ?? new StatementQueue(executor, pooled);
    this.queues.set(session, queue);
    return pooled ? this.inRoot(() => queue.send(messages)) : queue.send(messages);
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
  if (channel.delivery !== 'broadcast') throw storedUnsupported(channel.name);
  const surplus = EXACTLY_ONCE_OPTIONS.find((option) => options[option] !== undefined);
  if (surplus === undefined) return;
  throw new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected "${surplus}" for an exactly-once channel only, got it for the broadcast channel "${channel.name}". Leave it out.`,
  );
}

const storedUnsupported = (name: string) =>
  new PgPubSubError(
    'DELIVERY_UNSUPPORTED',
    `expected the channel "${name}" to be a broadcast, got an exactly-once one, which this version cannot send yet. ` +
      "Define it with delivery: 'broadcast'.",
  );

const notAContext = (got: unknown) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected "context" to be an object, got ${describeValue(got)}. Name what it says: { tenant }.`,
  );
