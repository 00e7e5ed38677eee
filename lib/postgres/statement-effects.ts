import {
  OTHER_TRANSACTION,
  PLAIN_NAME,
  refusal,
  REFUSALS,
  settingOf,
  THROW,
  TRANSACTION_LOCK,
  TRANSACTION_SETTING,
  type Head,
  type Refusal,
} from './refused-statements.js';
import {
  isName,
  isSymbol,
  isWord,
  SqlPosition,
  sqlTokens,
  wordAt,
  wordsOf,
  type SqlToken,
  type StringSettings,
} from './sql-tokens.js';

/** The effects of the statements of a text, beyond reading and writing rows. */
export interface StatementEffects {
  /** The first statement that a handler may not send (its keywords) and the remedy. */
  readonly refusal: Refusal | undefined;
  /** Whether settings may change. They are restored after the handler. */
  readonly settings: boolean;
  /** Whether changes may outlive the commit. The connection is then not returned to the pool. */
  readonly session: boolean;
  readonly temporary: boolean;
  readonly cursors: boolean;
  /** Whether SET CONSTRAINTS is sent. No handler may run after it: nothing restores it. */
  readonly constraints: boolean;
}

export const NO_EFFECTS: StatementEffects = Object.freeze({
  refusal: undefined,
  settings: false,
  session: false,
  temporary: false,
  cursors: false,
  constraints: false,
});

/**
 * Determines the effects of a text on the transaction and the session, as far as the text shows:
 * the bodies of functions and of DO are not read. A text that the server may read in two ways,
 * depending on `standard_conforming_strings`, has the effects of both readings.
 */
export function effectsOf(text: string): StatementEffects {
  if (isPlain(text)) return NO_EFFECTS;
  const [sent = ''] = text.split('\0', 1); // the server reads up to the first NUL
  const reader = new EffectsReader();
  reader.read(sent, { backslashes: false });
  if (sent.includes('\\')) reader.read(sent, { backslashes: true });
  return reader.effects;
}

/** Whether a text is one query or write without a notable name. Most texts are not read further. */
function isPlain(text: string): boolean {
  if (!QUERY.test(text) || NOTABLE.test(text)) return false;
  const end = text.indexOf(';');
  return end === -1 || text.slice(end + 1).trim() === '';
}

const QUERY = /^[\s(]*(?:select|insert|update|delete|merge|with|values)\b/i;
const NOTABLE =
  /set_config|advisory_(?:un)?lock|(?:terminate|cancel)_backend|pg_settings|pg_temp|\btemp(?:orary)?\b|u&"/i;

/**
 * Reads a text token by token and collects the effects of its statements. Keywords count at the
 * start of a statement, calls of functions anywhere. Every semicolon ends a statement, even in the
 * parentheses of CREATE RULE and in a body BEGIN ATOMIC … END: the server rejects transaction
 * control in both. Only the END of such a body has to be distinguished from a commit.
 */
class EffectsReader {
  readonly effects: { -readonly [K in keyof StatementEffects]: StatementEffects[K] } = { ...NO_EFFECTS };
  private statement = new Statement();
  /** Whether a body BEGIN ATOMIC is open, which the next END at the start of a statement closes. */
  private isInBody = false;

  read(text: string, settings: StringSettings): void {
    for (const token of sqlTokens(text, settings)) this.take(token);
    this.endStatement();
    this.isInBody = false;
  }

  private take(token: SqlToken): void {
    const { statement } = this;
    if (isSymbol(token, ';')) return this.endStatement();
    if (isWord(token, 'atomic') && statement.isBeforeBody) {
      this.endStatement();
      this.isInBody = true;
      return;
    }
    if (isSymbol(token, '(')) this.openCall();
    if (isSymbol(token, ')') && statement.endsSetConfig && !statement.isSetConfigLocal)
      this.effects.session = true;
    if (statement.createsTemporary(token)) this.effects.temporary = true;
    if (statement.updatesSettings(token)) Object.assign(this.effects, SESSION_SETTINGS);
    if (statement.setsTransaction(token)) this.refuse(`set_config(${token.text})`, OTHER_TRANSACTION);
    if (isWord(token, 'uescape') && statement.last?.kind === 'unicode') this.refuse('UESCAPE', PLAIN_NAME);
    statement.add(token);
  }

  private openCall(): void {
    const { called, isBuiltIn, stopping } = this.statement;
    if (called === 'set_config') this.effects.settings = true;
    if (called === undefined || !isBuiltIn) return;
    if (SESSION_LOCK.test(called)) this.refuse(`${called}()`, TRANSACTION_LOCK);
    if (called === 'pg_backend_pid' && stopping !== undefined)
      this.refuse(`${stopping}(pg_backend_pid())`, THROW);
  }

  private endStatement(): void {
    const { head, hasOpenSetConfig } = this.statement;
    this.statement = new Statement();
    if (hasOpenSetConfig) this.effects.session = true;
    const keyword = wordAt(head, 0);
    if (keyword === 'end' && this.isInBody) {
      this.isInBody = false;
      return;
    }
    this.effects.refusal ??= REFUSALS.get(keyword)?.(head);
    Object.assign(this.effects, EFFECTS.get(keyword)?.(head));
  }

  private refuse(statement: string, remedy: string): void {
    this.effects.refusal ??= refusal(statement, remedy);
  }
}

/** The statement that is being read, and the meaning of its latest tokens for the next one. */
class Statement extends SqlPosition {
  private isUpdate = false;
  /** The open calls of set_config(): depth, and length of the current argument in tokens. */
  private readonly setConfigs: { readonly depth: number; length: number }[] = [];
  /** The function that stops a backend, while its first argument may still be pg_backend_pid(). */
  stopping: string | undefined;

  override add(token: SqlToken): void {
    if (isSymbol(token, '(')) this.open();
    else if (!STOPPING_ARGUMENT.test(token.text)) this.stopping = undefined;
    if (isSymbol(token, ')') && this.endsSetConfig) this.setConfigs.pop();
    const call = this.setConfigs.at(-1);
    if (call) call.length = isSymbol(token, ',') && call.depth === this.depth ? 0 : call.length + 1;
    if (isWord(token, 'update')) this.isUpdate = true;
    super.add(token);
  }

  private open(): void {
    const { called, isBuiltIn } = this;
    if (called === 'set_config') this.setConfigs.push({ depth: this.depth + 1, length: -1 }); // 0 after the parenthesis
    if (called !== undefined && isBuiltIn && STOPPING.test(called)) this.stopping = called;
  }

  /** Whether the next closing parenthesis ends a call of set_config(). */
  get endsSetConfig(): boolean {
    return this.setConfigs.at(-1)?.depth === this.depth;
  }

  /** Whether the current argument of set_config() is a constant that means true. */
  get isSetConfigLocal(): boolean {
    const text = this.last?.kind === 'word' || this.last?.kind === 'string' ? this.last.text : '';
    return this.setConfigs.at(-1)?.length === 1 && /^(?:true|'(?:true|t|on|1)')$/i.test(text);
  }

  /** Whether the next token is within a call of set_config(). */
  get hasOpenSetConfig(): boolean {
    return this.setConfigs.length > 0;
  }

  /** Whether set_config() is given the name of a setting that belongs to the transaction. */
  setsTransaction(token: SqlToken): boolean {
    if (!this.hasOpenSetConfig || token.kind !== 'string') return false;
    return TRANSACTION_SETTING.test(token.text.slice(1, -1).toLowerCase());
  }

  /** Whether ATOMIC would open a body. In parentheses BEGIN ATOMIC is a parameter and its type. */
  get isBeforeBody(): boolean {
    return this.depth === 0 && isWord(this.last, 'begin') && CREATE_ROUTINE.test(wordsOf(this.head));
  }

  /** Whether an object is created in a temporary schema, apart from CREATE TEMPORARY. */
  createsTemporary(token: SqlToken): boolean {
    if (isWord(this.last, 'into') && !/^(?:insert|merge)$/.test(this.beforeLast?.text ?? ''))
      return /^(?:temp|temporary|local|global|pg_temp(?:_\d+)?)$/.test(token.text);
    const keyword = wordAt(this.head, 0);
    if (keyword === 'set' || this.hasOpenSetConfig) return /pg_temp/i.test(token.text); // in search_path
    return keyword === 'create' && isSymbol(token, '.') && /^pg_temp(?:_\d+)?$/.test(this.called ?? '');
  }

  /** Whether the view pg_settings is updated, which calls set_config(). */
  updatesSettings(token: SqlToken): boolean {
    return this.isUpdate && isName(token) && token.text === 'pg_settings';
  }
}

const CREATE_ROUTINE = /^create (?:or replace )?(?:function|procedure) /;
const CREATE_TEMPORARY = /^create (?:or replace )?(?:local |global )?temp(?:orary)? /;
const SESSION_LOCK = /^pg_(?:(?:try_)?advisory_lock(?:_shared)?|advisory_unlock(?:_shared|_all)?)$/;
const STOPPING = /^pg_(?:terminate|cancel)_backend$/;
const STOPPING_ARGUMENT = /^(?:select|pg_catalog|\.|pg_backend_pid)$/;
const SESSION_SETTINGS = { settings: true, session: true };

/** The effects, by the first keyword of a statement. */
const EFFECTS: ReadonlyMap<string, (head: Head) => Partial<StatementEffects>> = new Map([
  ['set', effectsOfSet],
  ['reset', () => SESSION_SETTINGS],
  ['discard', () => SESSION_SETTINGS],
  ['do', () => SESSION_SETTINGS],
  ['call', () => SESSION_SETTINGS],
  ['load', () => ({ session: true })],
  ['declare', () => ({ cursors: true })],
  ['create', (head) => (CREATE_TEMPORARY.test(wordsOf(head)) ? { temporary: true } : {})],
]);

function effectsOfSet(head: Head): Partial<StatementEffects> {
  const { scope, name } = settingOf(head);
  if (scope === '' && name === 'constraints') return { constraints: true };
  return scope === 'local' ? { settings: true } : SESSION_SETTINGS;
}
