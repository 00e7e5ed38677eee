import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Logger, ShutdownSignal } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { settings } from './settings.js';

// Browsers open spare connections, on which no request comes: closing would wait until they give them up.
const app = await NestFactory.create(AppModule, { forceCloseConnections: true });
app.enableShutdownHooks([ShutdownSignal.SIGINT, ShutdownSignal.SIGTERM], { useProcessExit: true });
await app.listen(settings.port);

const { port } = (app.getHttpServer() as Server).address() as AddressInfo; // of a server that listens on a port
const program = path.relative(process.cwd(), fileURLToPath(import.meta.url));
const logger = new Logger('Newsroom');
logger.log(`Open http://localhost:${port}`);
logger.log(
  `A second process on the same database: PORT=${port + 1} DATABASE_URL=${quote(settings.databaseUrl)} node ${quote(program)}`,
);

/** As one word of a shell. */
function quote(text: string): string {
  return /^[\w:/@.%+-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
