import type { ClientBase } from 'pg';
import type { HandlerStatements } from './handler-statements.js';

/** A query object that sends itself: a cursor, a stream of rows, a COPY. */
export interface Submittable {
  submit(connection: unknown): void;
  handleReadyForQuery?(connection: unknown): void;
  handleError?(error: unknown, connection: unknown): void;
  close?(): unknown;
  destroy?(): unknown;
  readonly text?: string;
  readonly cursor?: { readonly text?: string };
}

/** Members that a handler may use. All others would reach the connection without the guards. */
const READABLE = new Set([
  'constructor', 'processID', 'host', 'port', 'database', 'user', 'ssl', 'escapeIdentifier', 'escapeLiteral',
  'getTypeParser', 'getTransactionStatus', 'listenerCount', 'listeners',
]); // prettier-ignore
const SUBSCRIBING = new Set(['on', 'once', 'off', 'addListener', 'removeListener']);
/** Members that end the connection, or change it for its next user. */
const REFUSED = new Set(['end', 'release', 'destroy', 'connect', 'cancel', 'setTypeParser', 'removeAllListeners', 'pauseDrain', 'resumeDrain', 'ref', 'unref']); // prettier-ignore

type Callback = (error: unknown, result?: unknown) => void;

interface Config {
  readonly text?: unknown;
  readonly values?: unknown;
  readonly callback?: unknown;
  readonly name?: unknown;
}

/**
 * Returns pg's client as a handler sees it. Every use of the connection (text, object, callback,
 * cursor, stream, COPY) goes through the handler's statements. Members that would end the
 * connection throw; pg's internal members are hidden.
 */
export function createHandlerClient(client: ClientBase, statements: HandlerStatements): ClientBase {
  const query = (...args: readonly unknown[]): unknown => sendQuery(statements, args);
  const facade: ClientBase = new Proxy(client, {
    get(target, property) {
      if (property === 'query') return query;
      if (typeof property === 'symbol') return undefined;
      if (REFUSED.has(property)) return refusing(statements, property);
      const isSubscribing = SUBSCRIBING.has(property);
      if (!isSubscribing && !READABLE.has(property)) return undefined;
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function' || property === 'constructor') return value;
      return (...args: unknown[]): unknown => {
        const result: unknown = Reflect.apply(value, target, args);
        return isSubscribing ? facade : result;
      };
    },
    set(_target, property) {
      throw statements.refuse(`${String(property)} =`);
    },
  });
  return facade;
}

const refusing = (statements: HandlerStatements, method: string) => (): never => {
  throw statements.refuse(`${method}()`);
};

/**
 * Implements `client.query()`: a text or an object, values, and a callback in place of the promise.
 */
function sendQuery(statements: HandlerStatements, args: readonly unknown[]): unknown {
  const [query, values] = args;
  if (typeof query === 'string' && args.length <= 2 && typeof values !== 'function')
    return statements.track(() => statements.send({ text: query, values }));
  if (!isSubmittable(query)) return sendConfig(statements, query, args.slice(1));
  statements.submit(query);
  return query;
}

function sendConfig(statements: HandlerStatements, query: unknown, rest: readonly unknown[]): unknown {
  const { text, values, callback, ...config } = (
    typeof query === 'string' ? { text: query } : query
  ) as Config;
  const given = rest.find((argument) => Array.isArray(argument)) ?? values;
  const settle = [...rest, callback].find((argument): argument is Callback => typeof argument === 'function');
  const statement = { text: text as string, values: given, config }; // pg checks the type
  const sent = statements.track(() => statements.send(statement));
  if (settle === undefined) return sent;
  sent.then(
    (result) => process.nextTick(settle, null, result), // an error of the callback must not reject the promise
    (error: unknown) => process.nextTick(settle, error),
  );
  return undefined;
}

const isSubmittable = (query: unknown): query is Submittable =>
  typeof query === 'object' && query !== null && 'submit' in query && typeof query.submit === 'function';
