import type { QueryResult } from 'pg';
import { PgPubSubError } from '../common/errors.js';
import type { JsonObject } from '../common/json.js';
import type { ClaimConnection } from './claim-connection.js';
import {
  CLOSE_CURSORS,
  DISCARD_TEMPORARY,
  GUARDED_SETTINGS,
  RELEASE_SAVEPOINT,
  ROLL_BACK_TO_SAVEPOINT,
  SET_SAVEPOINT,
  readSettings,
  restoreSettings,
  setContext,
  type GuardedValues,
} from './handler.sql.js';
import type { Command, Statement } from './prefixed-query.js';
import { NO_EFFECTS, effectsOf, type StatementEffects } from './statement-effects.js';

export interface SavepointOptions {
  /** Returns the context for triggers of the running handler; `undefined` for the claim's. */
  readonly contextOfHandler: () => JsonObject | undefined;
  /** The context that the claim has set for triggers, as JSON. */
  readonly contextOfClaim: string;
  /** Whether settings are always restored: a handler has set some in a way that no text shows. */
  readonly restoresAlways: boolean;
}

const CONTEXT = GUARDED_SETTINGS.indexOf('pgpubsub.context');
const MAX_TEXTS = 200;

/**
 * The savepoint of a claim, which its handlers use one after the other. The writes of the current
 * handler can be undone without the others', and its settings and session objects end with it.
 * Owned by the claim.
 */
export class Savepoint {
  /** `fresh`: nothing was sent since the savepoint was set, so that the next handler can use it. */
  private state: 'none' | 'fresh' | 'used' = 'none';
  /** The guarded settings as the first handler found them. */
  private found: GuardedValues = [];
  private effects: StatementEffects = NO_EFFECTS;
  /** The context for triggers, if one was set for a handler. */
  private context: string | undefined;
  /** The value of `context` when the savepoint was set, to which undoing returns. */
  private outerContext: string | undefined;
  private readonly known = new Map<string, StatementEffects>();
  /** The error of a command in front of a handler's statement. The claim cannot continue. */
  private failure: { readonly error: unknown } | undefined;
  private readonly noteFailure = (error: unknown): void => {
    this.failure ??= { error };
  };
  /** Whether no other handler may run, because the transaction's state cannot be restored. */
  isLast = false;

  constructor(
    readonly connection: ClaimConnection,
    private readonly options: SavepointOptions,
  ) {}

  /** Whether a handler has sent a statement in this claim. */
  get wasUsed(): boolean {
    return this.state !== 'none';
  }

  /** The guarded settings as the statements of the library expect them. */
  get settings(): GuardedValues {
    return this.context === undefined ? this.found : this.found.with(CONTEXT, this.context);
  }

  /** Throws when the transaction or the savepoint has ended: nothing in it can be trusted. */
  assertIntact(): void {
    this.connection.assertUsable();
    if (this.failure !== undefined) throw this.failure.error;
    if (this.connection.hasNoTransaction) throw transactionEnded();
  }

  /** Returns the effects of a text, which are cached for up to 200 texts. */
  effectsOf(text: string): StatementEffects {
    const known = this.known.get(text);
    if (known !== undefined) return known;
    const effects = effectsOf(text);
    if (this.known.size < MAX_TEXTS) this.known.set(text, effects);
    return effects;
  }

  /**
   * Returns the commands for a handler's first statement. `isShared`: several handlers use them.
   */
  take(isShared: boolean): Command[] {
    if (this.state !== 'fresh') this.outerContext = this.context;
    const commands = this.begin();
    const context = isShared ? undefined : this.options.contextOfHandler();
    const text = context && JSON.stringify(context);
    if (text === undefined || text === this.context) return commands;
    this.context = text;
    return [...commands, { text: setContext(text) }];
  }

  send(commands: readonly Command[], statement: Statement): Promise<unknown> {
    return this.connection.send(commands, statement, this.noteFailure);
  }

  /** Records the effects that a handler's statement leaves behind. */
  note(effects: StatementEffects): void {
    if (effects === NO_EFFECTS) return;
    const { effects: before } = this;
    this.effects = {
      refusal: undefined,
      settings: before.settings || effects.settings,
      session: before.session || effects.session,
      temporary: before.temporary || effects.temporary,
      cursors: before.cursors || effects.cursors,
      constraints: before.constraints || effects.constraints,
    };
    if (effects.session) this.connection.taint();
    if (effects.constraints) this.isLast = true;
  }

  /** Replaces the savepoint. Rejects when the transaction is broken. */
  async renew(): Promise<void> {
    await this.leave(SET_SAVEPOINT, 'the server to renew a savepoint');
    this.outerContext = this.context;
    this.state = 'fresh';
  }

  /** Undoes all writes and settings since the savepoint. */
  async undo(): Promise<void> {
    await this.connection.roundTrip(ROLL_BACK_TO_SAVEPOINT, 'the server to undo what a handler wrote');
    this.state = 'fresh';
    this.context = this.outerContext;
    this.effects = NO_EFFECTS;
  }

  /**
   * Releases the savepoint, removes what handlers left on the session, and runs statements of the
   * library, in one round trip. Within a savepoint those statements would leave a MultiXact in each
   * row instead of the transaction that locked it: they would be slower, and a crashed claim could
   * not be recognized.
   */
  async leave(text: string, what: string, { ends = false } = {}): Promise<readonly QueryResult[]> {
    const commands = this.state === 'none' ? [] : this.cleaning();
    const results = await this.run(commands, text, what, ends);
    this.state = 'none';
    return results;
  }

  /** Sends the commands separately, when the handler's first statement cannot carry them. */
  async open(commands: readonly Command[]): Promise<void> {
    await this.run(commands, 'select', 'the server to set a savepoint', false);
  }

  private async run(
    commands: readonly Command[],
    text: string,
    what: string,
    ends: boolean,
  ): Promise<readonly QueryResult[]> {
    const texts = [...commands.map((command) => command.text), text];
    const results = await this.connection.roundTrip(texts.join('; '), what, { ends });
    for (const [index, { onRow }] of commands.entries())
      for (const row of results[index]?.rows ?? []) onRow?.(row as readonly unknown[]);
    return results;
  }

  private begin(): Command[] {
    const { state } = this;
    this.state = 'used';
    if (state === 'fresh') return [];
    if (state === 'used') return [...this.cleaning(), { text: SET_SAVEPOINT }];
    if (this.found.length === 0) this.found = this.knownSettings();
    if (this.found.length > 0) return [{ text: SET_SAVEPOINT }];
    return [{ text: readSettings(), onRow: this.noteSettings }, { text: SET_SAVEPOINT }];
  }

  /** Returns an earlier claim's settings, which its end has verified to be unchanged. */
  private knownSettings(): GuardedValues {
    const { restoresAlways, contextOfClaim } = this.options;
    const { settings } = this.connection;
    return !restoresAlways && settings?.context === contextOfClaim ? settings.values : [];
  }

  /** Keeps the settings for later claims, unless a pooler announces a process id of its own. */
  private readonly noteSettings = (row: readonly unknown[]): void => {
    const values = row.map(String);
    this.found = values.slice(0, GUARDED_SETTINGS.length);
    const isOwnSession = values.at(-1) === String(this.connection.processId);
    if (isOwnSession) this.connection.settings = { values: this.found, context: this.options.contextOfClaim };
  };

  private cleaning(): Command[] {
    const { effects, connection, options } = this;
    this.effects = NO_EFFECTS;
    const commands: Command[] = [{ text: RELEASE_SAVEPOINT }];
    if (effects.settings || options.restoresAlways)
      // A setting that no text shows may be set for the session, and would outlive the commit.
      commands.push({
        text: restoreSettings(this.settings),
        onRow: effects.settings ? undefined : () => connection.taint(),
      });
    if (effects.cursors) commands.push({ text: CLOSE_CURSORS });
    if (effects.temporary) commands.push({ text: DISCARD_TEMPORARY });
    return commands;
  }
}

const transactionEnded = () =>
  new PgPubSubError(
    'COMPLETION_REFUSED',
    'expected handlers to leave the transaction of their claim open, got one that has ended. ' +
      'Do not commit or roll back on the connection of a claim.',
  );
