import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import { PgPubSubError, describeValue } from '../common/errors.js';
import { findJsonObstacle, isJsonObject, type JsonObject } from '../common/json.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import { installContext } from '../postgres/context-runner.js';
import { CONTEXT, setLocal } from '../postgres/context.sql.js';
import { openRunnerOf, resolveRoute, type Route } from '../postgres/executor.js';
import { assertOptions } from './notify-options.js';

const DISABLED = 'pgpubsub.disabled';

/** Work to run in a transaction; `manager` is that transaction's. */
export type TransactionalWork<T> = (manager: EntityManager) => Promise<T>;

/** Options of `withContext()` and `withoutTriggers()`. */
export interface InTransactionOptions {
  /** An open transaction to use; without it, a new one is opened. */
  manager?: SqlExecutor;
}

/**
 * Sets the context and disables triggers for single transactions. The settings belong to the
 * transaction (SET LOCAL), never to the pooled session, and end with it.
 *
 * no deadline: a call of the application, limited by the options of its DataSource
 */
export class TransactionSettings {
  private readonly contexts = new WeakMap<QueryRunner, JsonObject>();
  private readonly withTriggersDisabled = new WeakSet<QueryRunner>();

  /** `trace`: the caller's span, for notifications of triggers; `undefined` without tracing. */
  constructor(
    private readonly dataSource: DataSource,
    private readonly common: (() => object) | undefined,
    private readonly trace: () => JsonObject | undefined,
  ) {
    if (common) installContext(dataSource, () => ({ ...trace(), ...common() }));
  }

  /** The context of everything sent on this route. */
  contextOf(route: Route): JsonObject | undefined {
    const runner = openRunnerOf(route);
    const own = runner && this.contexts.get(runner);
    const common = this.common?.();
    return common === undefined ? own : { ...common, ...own };
  }

  async withContext<T>(
    context: object,
    work: TransactionalWork<T>,
    options: InTransactionOptions,
  ): Promise<T> {
    assertContext(context);
    assertWork(work, 'withContext(context, work, options)');
    return this.within(options, async (manager, runner) => {
      const before = this.contexts.get(runner);
      const merged = { ...before, ...context };
      this.contexts.set(runner, merged);
      try {
        return await setDuring(manager, CONTEXT, this.contextJson(merged), this.contextJson(before), work);
      } finally {
        if (before) this.contexts.set(runner, before);
        else this.contexts.delete(runner);
      }
    });
  }

  async withoutTriggers<T>(work: TransactionalWork<T>, options: InTransactionOptions): Promise<T> {
    assertWork(work, 'withoutTriggers(work, options)');
    return this.within(options, async (manager, runner) => {
      const isDisabled = this.withTriggersDisabled.has(runner);
      this.withTriggersDisabled.add(runner);
      try {
        return await setDuring(manager, DISABLED, 'on', isDisabled ? 'on' : 'off', work);
      } finally {
        if (!isDisabled) this.withTriggersDisabled.delete(runner);
      }
    });
  }

  /** The context for triggers as JSON; empty if neither the transaction nor the module has one. */
  private contextJson(own: JsonObject | undefined): string {
    if (own === undefined && this.common === undefined) return '';
    const json = JSON.stringify({ ...this.trace(), ...this.common?.(), ...own });
    return json === '{}' ? '' : json;
  }

  private async within<T>(
    options: InTransactionOptions,
    work: (manager: EntityManager, runner: QueryRunner) => Promise<T>,
  ): Promise<T> {
    assertKnown(options);
    const { manager: given } = options;
    if (given === undefined)
      return this.dataSource.transaction((manager) => work(manager, transactionRunnerOf(manager)));
    const { manager } = resolveRoute(given);
    if (manager === undefined) throw notOpen(describeValue(given));
    return work(manager, transactionRunnerOf(manager));
  }
}

/**
 * Sets, runs `work`, and restores the setting: the transaction may continue after the work.
 *
 * no deadline: a call of the application, limited by the options of its DataSource
 */
async function setDuring<T>(
  manager: EntityManager,
  setting: typeof CONTEXT | typeof DISABLED,
  value: string,
  previous: string,
  work: TransactionalWork<T>,
): Promise<T> {
  await manager.query(setLocal(setting, value));
  try {
    const result = await work(manager);
    await manager.query(setLocal(setting, previous));
    return result;
  } catch (error) {
    // After a failed statement nothing can be set; the rollback undoes the setting.
    await manager.query(setLocal(setting, previous)).catch(() => undefined);
    throw error;
  }
}

/** Rejects unknown options: a misspelt `manager` would run in another transaction. */
function assertKnown(options: InTransactionOptions): void {
  const what = 'withContext() and withoutTriggers()';
  assertOptions(options, what);
  const unknown = Object.keys(options).find((option) => option !== 'manager');
  if (unknown === undefined) return;
  throw new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected no option but "manager" for ${what}, got "${unknown}". Correct its name.`,
  );
}

function assertWork(work: unknown, call: string): void {
  if (typeof work === 'function') return;
  throw new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected "work" of ${call} to be a function, got ${describeValue(work)}. ` +
      'Pass the function to run in the transaction: async (manager) => { … }.',
  );
}

function transactionRunnerOf(manager: EntityManager): QueryRunner {
  const runner = manager.queryRunner;
  if (!runner?.isTransactionActive) throw notOpen('one outside of a transaction');
  return runner;
}

/** The context is part of every notification, which has 7,999 bytes for it and the payload. */
const MAX_CONTEXT_BYTES = 4_000;

function assertContext(context: unknown): void {
  const obstacle = isJsonObject(context)
    ? (findJsonObstacle(context) ?? findExcess(context))
    : describeValue(context);
  if (obstacle === undefined) return;
  throw new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected the context to be an object that fits into ${MAX_CONTEXT_BYTES} bytes of JSON, got ${obstacle}. Keep it small: a tenant, a trace.`,
  );
}

function findExcess(context: JsonObject): string | undefined {
  const bytes = Buffer.byteLength(JSON.stringify(context));
  return bytes > MAX_CONTEXT_BYTES ? `one of ${bytes} bytes` : undefined;
}

const notOpen = (got: string) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected "manager" to be an EntityManager, QueryRunner or Repository with an open transaction, got ${got}. ` +
      'Leave it out to open a new transaction.',
  );
