import type { IncomingMessage, ServerResponse } from 'node:http';
import { settings } from '../settings.js';
import { findForeign } from './foreign-request.js';

/** Responds with 403 to requests from pages of other sites: {@link findForeign}. */
export function refuseForeign(request: IncomingMessage, response: ServerResponse, next: () => void): void {
  const message = findForeign(request, settings.allowedHosts);
  if (message === undefined) return next();
  response.writeHead(403, { 'content-type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify({ statusCode: 403, error: 'Forbidden', message }));
}
