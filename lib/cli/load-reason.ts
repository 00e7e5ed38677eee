import { messageOf } from '../common/errors.js';

/** Why a file does not load: the message, and where the application's own code threw it, the place. */
export function reasonOf(error: unknown, importer: string): string {
  const message = messageWithout(importer, error);
  const isFromNode = error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_');
  const place = error instanceof Error && !isFromNode ? OWN_PLACE.exec(error.stack ?? '')?.[1] : undefined;
  return place === undefined ? message : `${message} (${place})`;
}

/** The line of a stack that is not about a package. */
const OWN_PLACE = /^ +at (?!.*node_modules).*?\(?((?:file:|\/).*?)\)?$/m;

/** The message, without the file that imports on behalf of this command. */
export const messageWithout = (importer: string, error: unknown): string =>
  messageOf(error).replace(` imported from ${importer}`, '').trim().replace(/\.$/, '');
