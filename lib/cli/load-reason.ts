import { messageOf } from '../common/errors.js';

/** Returns why a file does not load, with the place if the application's own code threw. */
export function reasonOf(error: unknown, importer: string): string {
  const message = messageWithout(importer, error);
  const isFromNode = error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_');
  const place = error instanceof Error && !isFromNode ? OWN_PLACE.exec(error.stack ?? '')?.[1] : undefined;
  return place === undefined ? message : `${message} (${place})`;
}

/** Matches the first stack line outside of packages. */
const OWN_PLACE = /^ +at (?!.*node_modules).*?\(?((?:file:|\/).*?)\)?$/m;

/** Removes the importing file of this command from the message. */
export const messageWithout = (importer: string, error: unknown): string =>
  messageOf(error).replace(` imported from ${importer}`, '').trim().replace(/\.$/, '');
