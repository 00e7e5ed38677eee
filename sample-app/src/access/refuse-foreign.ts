import type { IncomingMessage, ServerResponse } from 'node:http';
import { settings } from '../settings.js';
import { findForeign } from './foreign-request.js';

/** Answers 403 to requests that pages of other sites make: those that change something, and those that read a feed. */
export function refuseForeign(request: IncomingMessage, response: ServerResponse, next: () => void): void {
  const message = findForeign(request, settings.allowedHosts);
  if (message === undefined) return next();
  response.writeHead(403, { 'content-type': 'application/json; charset=utf-8' });
  response.end(JSON.stringify({ statusCode: 403, error: 'Forbidden', message }));
}
