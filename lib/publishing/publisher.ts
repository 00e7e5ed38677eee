import { AsyncLocalStorage } from 'node:async_hooks';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import { validatePayload } from '../channels/payload.codec.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import type { ReportEvent } from '../common/events.js';
import { isJsonObject, type JsonObject } from '../common/json.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import { resolveRoute, type Route } from '../postgres/executor.js';
import { explainMissing } from '../storage/missing.js';
import { assertNotifyOptions, type NotifyOptions } from './notify-options.js';
import { encodeBroadcasts, encodeStoredOnes, joined, type Outgoing } from './outgoing.js';
import { StatementQueue } from './statement-queue.js';
import type { Statement, Statements } from './statements.js';

export interface PublisherOptions {
  readonly statements: Statements;
  /** The DataSource's manager, read at each call: libraries replace it within transactions. */
  readonly pool: () => SqlExecutor;
  readonly executor: (() => SqlExecutor | undefined) | undefined;
  /** The context of everything sent on this route: the module's, merged with the transaction's. */
  readonly contextOf: (route: Route) => JsonObject | undefined;
  /** Throws for a text that all listeners of the channel would reject. */
  readonly assertText: (channel: string, text: string) => void;
  readonly report: ReportEvent;
}

/** The place of a `notify()` call in a trace, as members of `context`; `undefined`: not traced. */
export interface CallTrace {
  readonly call: JsonObject | undefined;
  /** The span of the caller: the same for all of its calls. */
  readonly caller: JsonObject | undefined;
}

export const UNTRACED: CallTrace = { call: undefined, caller: undefined };

/**
 * Sends notifications: checks them before any SQL, joins the caller's transaction, and sends
 * concurrent calls together. Owned by the module; holds no connection.
 */
export class Publisher {
  private readonly queues = new WeakMap<object, StatementQueue>();
  /** Runs shared statements in no caller's async context: it may hold that caller's transaction. */
  private readonly inRoot = AsyncLocalStorage.snapshot();

  constructor(private readonly options: PublisherOptions) {}

  /** Resolves when one statement has sent all. Rejects before any SQL if one payload is invalid. */
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
    } catch (thrown) {
      const durationMs = performance.now() - began;
      const error = explainMissing(thrown);
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
    const route = this.routeOf(options);
    const context = this.resolveContext(route, options);
    for (const payload of payloads) {
      const checked = validatePayload(channel, payload);
      if (checked instanceof Promise) await checked; // awaiting each value would cost a turn per call
    }
    if (payloads.length === 0) return;
    const { statements, assertText } = this.options;
    if (channel.delivery === 'exactly-once') {
      const outgoing = encodeStoredOnes(channel, payloads, joined(trace.call, context), options);
      for (const { payload } of outgoing) assertText(channel.name, payload ?? '');
      return this.send(statements.stored, outgoing, route);
    }
    // In a transaction PostgreSQL delivers equal broadcasts once: a trace per call would make them
    // differ.
    const traced = route.kind === 'pool' ? trace.call : trace.caller;
    const outgoing = encodeBroadcasts(channel, payloads, context, traced);
    for (const { text } of outgoing) assertText(channel.name, text);
    return this.send(statements.broadcast, outgoing, route);
  }

  private routeOf({ manager }: NotifyOptions): Route {
    if (manager !== undefined) return resolveRoute(manager); // null is rejected: it would send outside of the transaction
    return resolveRoute(this.options.executor?.() ?? this.options.pool());
  }

  private resolveContext(route: Route, { context }: NotifyOptions): JsonObject | undefined {
    if (context !== undefined && !isJsonObject(context)) throw notAContext(context);
    return joined(this.options.contextOf(route), context);
  }

  private send<O extends Outgoing>(
    statement: Statement<O>,
    outgoing: readonly O[],
    route: Route,
  ): Promise<void> {
    const queue = this.queueOf(route);
    return route.kind === 'pool'
      ? this.inRoot(() => queue.send(statement, outgoing))
      : queue.send(statement, outgoing);
  }

  private queueOf({ kind, executor, session }: Route): StatementQueue {
    const known = session && this.queues.get(session);
    if (known) return known;
    const queue = new StatementQueue(executor, kind === 'pool');
    if (session) this.queues.set(session, queue);
    return queue;
  }
}

const notAContext = (got: unknown) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected "context" to be an object, got ${describeValue(got)}. Pass an object such as { tenant }.`,
  );
