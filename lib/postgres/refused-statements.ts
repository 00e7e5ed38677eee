import { isName, isSymbol, isWord, wordAt, type SqlToken } from './sql-tokens.js';

/** A statement that a handler may not send: its keywords, and the remedy. */
export interface Refusal {
  readonly statement: string;
  readonly remedy: string;
}

/** Settings of the whole transaction, and the encoding, which changes how texts are read. */
export const TRANSACTION_SETTING =
  /^(?:transaction_(?:isolation|read_only|deferrable)|default_transaction_\w+|client_encoding|names)$/;

const RETURN = 'Return to have its writes committed, throw to have them undone.';
const ALREADY_STARTED = 'The handler runs in a transaction. Set a savepoint to be able to undo a part of it.';
const FINISH_ELSEWHERE = 'Finish prepared transactions on another connection.';
const OTHER_NAME = 'Names that begin with pgpubsub_ belong to the library. Choose another one.';
export const OTHER_TRANSACTION =
  'The handler shares its transaction. Run statements that need other characteristics on another connection.';
const LISTENER = 'Receive notifications with @Listener() or pubsub.observe().';
const PARAMETERS = 'Send the values as parameters. The library prepares the statements that repeat.';
export const TRANSACTION_LOCK =
  'Use pg_advisory_xact_lock() or pg_try_advisory_xact_lock(). The end of the transaction releases the lock.';
export const THROW = 'Throw to have the writes of the handler undone.';
const DISCARD_LESS = 'PostgreSQL rejects it in a transaction. Discard less, for example with DISCARD TEMP.';
export const PLAIN_NAME = 'Write the name in double quotes without U& and UESCAPE.';

export type Head = readonly SqlToken[];

export const refusal = (statement: string, remedy: string): Refusal => ({ statement, remedy });

/** The refusals, by the first keyword of a statement. */
export const REFUSALS: ReadonlyMap<string, (head: Head) => Refusal | undefined> = new Map([
  ['begin', () => refusal('BEGIN', ALREADY_STARTED)],
  ['start', () => refusal('START TRANSACTION', ALREADY_STARTED)],
  ['end', () => refusal('END', RETURN)],
  ['abort', () => refusal('ABORT', RETURN)],
  ['commit', refusalOfEnd],
  ['rollback', refusalOfRollback],
  ['savepoint', (head) => refusalOfSavepoint('SAVEPOINT', head[1])],
  ['release', (head) => refusalOfSavepoint('RELEASE SAVEPOINT', savepointAt(head, 1))],
  ['prepare', refusalOfPrepare],
  ['deallocate', () => refusal('DEALLOCATE', PARAMETERS)],
  ['listen', () => refusal('LISTEN', LISTENER)],
  ['unlisten', () => refusal('UNLISTEN', LISTENER)],
  ['set', (head) => refusalOfSetting('SET', settingOf(head))],
  ['reset', (head) => refusalOfSetting('RESET', settingOf(head))],
  ['discard', (head) => (isWord(head[1], 'all') ? refusal('DISCARD ALL', DISCARD_LESS) : undefined)],
]);

function refusalOfEnd(head: Head): Refusal {
  const keyword = wordAt(head, 0).toUpperCase();
  if (isWord(head[1], 'prepared')) return refusal(`${keyword} PREPARED`, FINISH_ELSEWHERE);
  return refusal(keyword, RETURN);
}

function refusalOfPrepare(head: Head): Refusal {
  if (isWord(head[1], 'transaction')) return refusal('PREPARE TRANSACTION', RETURN);
  return refusal('PREPARE', PARAMETERS);
}

function refusalOfRollback(head: Head): Refusal | undefined {
  const at = /^(?:work|transaction)$/.test(wordAt(head, 1)) ? 2 : 1;
  if (!isWord(head[at], 'to')) return refusalOfEnd(head);
  return refusalOfSavepoint('ROLLBACK TO SAVEPOINT', savepointAt(head, at + 1));
}

/** Returns the name of a savepoint, after the optional keyword. */
const savepointAt = (head: Head, at: number): SqlToken | undefined =>
  isWord(head[at], 'savepoint') ? head[at + 1] : head[at];

const refusalOfSavepoint = (keywords: string, name: SqlToken | undefined): Refusal | undefined =>
  isName(name) && name.text.startsWith('pgpubsub_')
    ? refusal(`${keywords} ${name.text.slice(0, 63)}`, OTHER_NAME)
    : undefined;

/** The setting that SET or RESET changes, and its scope. A name with a dot is left empty. */
type Setting = { readonly scope: string; readonly name: string };

export function settingOf(head: Head): Setting {
  const isNamed = /^(?:[.=]|to)$/.test(head[2]?.text ?? ''); // as in SET local.name = 1
  const scope = isNamed ? '' : (/^(?:local|session)$/.exec(wordAt(head, 1))?.[0] ?? '');
  const at = scope === '' ? 1 : 2;
  return { scope, name: isSymbol(head[at + 1], '.') ? '' : (head[at]?.text.toLowerCase() ?? '') };
}

function refusalOfSetting(command: string, { scope, name }: Setting): Refusal | undefined {
  if (scope === 'session' && name === 'characteristics')
    return refusal('SET SESSION CHARACTERISTICS', OTHER_TRANSACTION);
  if (name === 'transaction') return refusal(`${command} TRANSACTION`, OTHER_TRANSACTION);
  return TRANSACTION_SETTING.test(name) ? refusal(`${command} ${name}`, OTHER_TRANSACTION) : undefined;
}
