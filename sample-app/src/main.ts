import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConsoleLogger, ShutdownSignal, type LogLevel } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { refuseForeign } from './access/refuse-foreign.js';
import { AppModule, WebModule } from './app.module.js';
import { settings } from './settings.js';

const logger = new ConsoleLogger('Newsroom');
const isAlone = settings.role === 'all';
const options = {
  // several processes share one terminal
  logger: (isAlone ? ['log', 'warn', 'error', 'fatal'] : ['warn', 'error', 'fatal']) satisfies LogLevel[],
  // Browsers keep idle connections open, and close() would wait for them.
  forceCloseConnections: true,
};
const app = await NestFactory.create(isAlone ? AppModule : WebModule, options);
app.use(refuseForeign);
app.enableShutdownHooks([ShutdownSignal.SIGINT, ShutdownSignal.SIGTERM], { useProcessExit: true });
await app.listen(settings.port, settings.host).catch(refusePort);

const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
const program = path.relative(process.cwd(), fileURLToPath(import.meta.url));
logger.log(`Open http://localhost:${port}`);
if (isAlone)
  logger.log(
    `Start a second process on the same database: PORT=${port + 1} DATABASE_URL=${quote(settings.databaseAddress)} node ${quote(program)}`,
  );
process.send?.('ready'); // to tools/start-newsroom.js

/** Ends the process with a readable message when another program uses the port. */
async function refusePort(error: NodeJS.ErrnoException): Promise<never> {
  if (error.code !== 'EADDRINUSE') throw error;
  logger.fatal(
    `Port ${settings.port} is in use by another program. Set another one, such as PORT=${settings.port + 1}.`,
  );
  await app.close();
  return process.exit(1);
}

/** Quotes the text as one word of a shell command. */
function quote(text: string): string {
  return /^[\w:/@.%+-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
