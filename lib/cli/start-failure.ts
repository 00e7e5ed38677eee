import { isPgPubSubError, messageOf } from '../common/errors.js';
import { CommandFailure, EXIT } from './command-failure.js';

/** Of sockets, names and TLS, and the SQLSTATEs with which a server refuses a connection. */
const CONNECTION_CODE =
  /^(?:E(?:CONNREFUSED|CONNRESET|HOSTUNREACH|NETUNREACH|NOTFOUND|AI_AGAIN|TIMEDOUT|PIPE|PROTO)|ERR_(?:SSL|TLS)_.+|08...|28...|3D000|53300|57P0[123])$/;
/** What pg says without a code. */
const CONNECTION_MESSAGE = /^(?:timeout expired|Connection terminated)/;
/** The line of a stack that says where an error was made: code of Node counts where it checks certificates. */
const ORIGIN = /^ +at (?:TLSSocket\.|(?!.*node:).*[\\/]).*$/m;
/** TLS, pg with its parts, and TypeORM's reading of a URL: what they throw themselves is about the connection. */
const CONNECTING =
  /^ +at TLSSocket\.|[\\/]node_modules[\\/](?:pg(?:-pool|-protocol|-connection-string)?[\\/]|typeorm[\\/].*\bDriverUtils\.)/;

/**
 * Why an application has not started, as the end of the command: a sentence where the reason is known, and the stack of
 * an error of its own code.
 */
export function explainStart(module: string, error: unknown): CommandFailure {
  if (error instanceof CommandFailure) return error;
  if (isPgPubSubError(error)) return new CommandFailure(error.message, EXIT.failed, { cause: error });
  const message = isConnectionError(error)
    ? `expected ${module} to start, got: ${messageOf(error).trim()}. Check the address and the credentials, and that the server runs.`
    : `expected ${module} to start, got: ${stackOf(error)}`;
  return new CommandFailure(message, EXIT.failed, { cause: error });
}

function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, syscall } = error as NodeJS.ErrnoException; // as far as it is one
  if (code === 'ENOENT') return syscall === 'connect'; // of a Unix domain socket
  if ((code !== undefined && CONNECTION_CODE.test(code)) || CONNECTION_MESSAGE.test(error.message))
    return true;
  const isAnswer = 'severity' in error; // of the server, to a statement
  return !isAnswer && CONNECTING.test(ORIGIN.exec(error.stack ?? '')?.[0] ?? '');
}

const stackOf = (error: unknown): string => (error instanceof Error && error.stack) || messageOf(error);
