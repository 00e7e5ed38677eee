import { AsyncLocalStorage } from 'node:async_hooks';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import { encodeBroadcast, encodeContext, encodeStored, validatePayload } from '../channels/payload.codec.js';
import { PgPubSubError, describeValue, isPgPubSubError } from '../common/errors.js';
import type { Report } from '../common/facts.js';
import { isJsonObject, type JsonObject } from '../common/json.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import type { BroadcastMessage } from './broadcast.statement.js';
import { isOneSession, isPool, queryRunnerOf, resolveExecutor } from '../postgres/executor.js';
import { assertNotifyOptions, type NotifyOptions } from './notify-options.js';
import type { Message, Statement } from './statement.js';
import { StatementQueue } from './statement-queue.js';
import type { Statements } from './statements.js';
import type { StoredMessage } from './store.statement.js';

export interface PublisherOptions {
  readonly statements: Statements;
  /** The DataSource's manager as it is at the time of the call: libraries replace it within their transactions. */
  readonly pool: () => SqlExecutor;
  readonly executor: (() => SqlExecutor | undefined) | undefined;
  /** What everything sent through this executor carries: the module's context, and the transaction's. */
  readonly contextOf: (executor: SqlExecutor) => JsonObject | undefined;
  /** Throws for a text that everybody who listens to the channel would refuse. */
  readonly assertText: (channel: string, text: string) => void;
  readonly report: Report;
}

/** Where a call of `notify()` belongs in a trace, as members of `context`; nothing where nobody traces. */
export interface CallTrace {
  /** The call itself. */
  readonly call: JsonObject | undefined;
  /** Its caller: the same for all of its calls. */
  readonly caller: JsonObject | undefined;
}

export const UNTRACED: CallTrace = { call: undefined, caller: undefined };

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
    trace = UNTRACED,
  ): Promise<void> {
    const { name, delivery } = channel;
    const { report } = this.options;
    const count = payloads.length;
    const began = performance.now();
    try {
      await this.checkAndSend(channel, payloads, options, trace);
    } catch (error) {
      const durationMs = performance.now() - began;
      report({ type: 'publish-failed', channel: name, delivery, count, durationMs, error });
      throw error;
    }
    if (count === 0) return;
    const type = delivery === 'broadcast' ? 'published' : 'stored';
    report({ type, channel: name, count, durationMs: performance.now() - began });
  }

  private async checkAndSend(
    channel: ChannelDefinition,
    payloads: readonly unknown[],
    options: NotifyOptions,
    trace: CallTrace,
  ): Promise<void> {
    assertNotifyOptions(channel, options);
    const executor = this.resolveExecutor(options);
    const context = this.resolveContext(executor, options);
    for (const payload of payloads) {
      const checked = validatePayload(channel, payload);
      if (checked instanceof Promise) await checked; // awaiting a value, too, would cost a turn per call
    }
    if (payloads.length === 0) return;
    const { statements } = this.options;
    if (channel.delivery === 'exactly-once') {
      const messages = storedMessages(channel, payloads, joined(trace.call, context), options);
      for (const message of messages) this.options.assertText(message.channel, message.payload ?? '');
      return this.send(statements.stored, messages, executor);
    }
    // Within a transaction equal notifications are delivered once, and have to stay equal.
    const traced = isPool(executor) ? trace.call : trace.caller;
    const messages = broadcastMessages(channel, payloads, context, traced);
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
    const session = queryRunnerOf(executor) ?? executor;
    const queue = this.queues.get(session) ?? new StatementQueue(executor, pooled);
    this.queues.set(session, queue);
    return pooled ? this.inRoot(() => queue.send(statement, messages)) : queue.send(statement, messages);
  }

  private resolveExecutor({ manager }: NotifyOptions): SqlExecutor {
    return resolveExecutor(manager ?? this.options.executor?.() ?? this.options.pool());
  }

  private resolveContext(executor: SqlExecutor, { context }: NotifyOptions): JsonObject | undefined {
    if (context !== undefined && !isJsonObject(context)) throw notAContext(context);
    return joined(this.options.contextOf(executor), context);
  }
}

/** What both say, and where they differ what `over` says. */
const joined = (under: JsonObject | undefined, over: JsonObject | undefined): JsonObject | undefined =>
  under === undefined ? over : { ...under, ...over };

const broadcastMessages = (
  channel: ChannelDefinition,
  payloads: readonly unknown[],
  context: JsonObject | undefined,
  trace: JsonObject | undefined,
): BroadcastMessage[] =>
  payloads.map((payload) => ({
    channel: channel.name,
    text:
      (trace && encodeTraced(channel, payload, joined(trace, context))) ??
      encodeBroadcast(channel, payload, context),
  }));

/** `undefined` where there is no room for the trace beside the payload. */
function encodeTraced(
  channel: ChannelDefinition,
  payload: unknown,
  context: JsonObject | undefined,
): string | undefined {
  try {
    return encodeBroadcast(channel, payload, context);
  } catch (error) {
    if (isPgPubSubError(error) && error.code === 'PAYLOAD_TOO_LARGE') return undefined;
    throw error;
  }
}

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

const notAContext = (got: unknown) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected "context" to be an object, got ${describeValue(got)}. Name what it says: { tenant }.`,
  );
