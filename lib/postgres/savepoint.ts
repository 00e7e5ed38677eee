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
  /** The context for triggers while the handler runs that asks; `undefined`: the claim's. */
  readonly contextOfHandler: () => JsonObject | undefined;
  /** The context that the claim has set for triggers, as JSON. */
  readonly contextOfClaim: string;
  /** Whether settings are restored behind every handler: one of them was seen to set some where no text shows it. */
  readonly restoresAlways: boolean;
}

const CONTEXT = GUARDED_SETTINGS.indexOf('pgpubsub.context');
const MAX_TEXTS = 200;

/**
 * The savepoint of a claim, behind which handlers work one after the other: what the current one wrote can be undone
 * without the others, and what it set or left on the session ends with it. Owned by the claim.
 */
export class Savepoint {
  /** `fresh`: nothing was sent since it was set, the next handler can use it. */
  private state: 'none' | 'fresh' | 'used' = 'none';
  /** The guarded settings as the first handler found them. */
  private found: GuardedValues = [];
  private effects: StatementEffects = NO_EFFECTS;
  /** The context for triggers, if it was set for a handler. */
  private context: string | undefined;
  /** The same when the savepoint was set: what it is again when the handler is undone. */
  private outerContext: string | undefined;
  private readonly known = new Map<string, StatementEffects>();
  /** The error of a command in front of a handler's statement: the claim cannot go on. */
  private failure: { readonly error: unknown } | undefined;
  private readonly noteFailure = (error: unknown): void => {
    this.failure ??= { error };
  };
  /** Whether the state of the transaction cannot be restored: no other handler may run in it. */
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

  /** Throws when the claim's transaction has ended, or its savepoint: what ran since it began cannot be trusted. */
  assertIntact(): void {
    this.connection.assertUsable();
    if (this.failure !== undefined) throw this.failure.error;
    if (this.connection.hasNoTransaction) throw transactionEnded();
  }

  /** Determines what the statements of a text do beside reading and writing rows. */
  effectsOf(text: string): StatementEffects {
    const known = this.known.get(text);
    if (known !== undefined) return known;
    const effects = effectsOf(text);
    if (this.known.size < MAX_TEXTS) this.known.set(text, effects);
    return effects;
  }

  /** The commands to send in front of a handler's first statement; `isShared`: handlers interleave behind them. */
  take(isShared: boolean): Command[] {
    if (this.state !== 'fresh') this.outerContext = this.context;
    const commands = this.begin();
    const context = isShared ? undefined : this.options.contextOfHandler();
    const text = context && JSON.stringify(context);
    if (text === undefined || text === this.context) return commands;
    this.context = text;
    return [...commands, { text: setContext(text) }];
  }

  /** Sends a statement of a handler behind commands. */
  send(commands: readonly Command[], statement: Statement): Promise<unknown> {
    return this.connection.send(commands, statement, this.noteFailure);
  }

  /** Remembers what a handler's statement leaves behind. */
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

  /** Fails when the transaction is broken behind the savepoint. */
  async renew(): Promise<void> {
    await this.leave(SET_SAVEPOINT, 'the server to renew a savepoint');
    this.outerContext = this.context;
    this.state = 'fresh';
  }

  /** Undoes what was written since the savepoint, and what was set. */
  async undo(): Promise<void> {
    await this.connection.roundTrip(ROLL_BACK_TO_SAVEPOINT, 'the server to undo what a handler wrote');
    this.state = 'fresh';
    this.context = this.outerContext;
    this.effects = NO_EFFECTS;
  }

  /**
   * Releases the savepoint, ends what handlers left, and runs statements of the library; one round trip. Behind a
   * savepoint those would leave a MultiXact in each row instead of the transaction that locked it: slower, and a claim
   * that died could not be recognised.
   */
  async leave(text: string, what: string, { ends = false } = {}): Promise<readonly QueryResult[]> {
    const commands = this.state === 'none' ? [] : this.cleaning();
    const results = await this.run(commands, text, what, ends);
    this.state = 'none';
    return results;
  }

  /** Sends the commands of a handler's first statement by themselves, when that statement cannot take them along. */
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

  /** The settings as an earlier claim has found them. Its end has verified that they are the same. */
  private knownSettings(): GuardedValues {
    const { restoresAlways, contextOfClaim } = this.options;
    const { settings } = this.connection;
    return !restoresAlways && settings?.context === contextOfClaim ? settings.values : [];
  }

  /** Behind a pooler the next claim may meet another session: the pooler announces a process of its own making. */
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
      // A setting that no text shows may be one of the session, which would outlive the commit.
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
    'expected handlers to leave the transaction of their claim open, got an end of it. ' +
      'Do not commit or roll back on its connection.',
  );
