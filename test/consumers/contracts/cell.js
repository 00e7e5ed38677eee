// @ts-check
/**
 * The process of one cell of the matrix:
 * `node --preserve-symlinks cell.js <directory> <databaseUrl> all|typeorm`. Prints a line for each
 * check, and reports their numbers to its parent.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Checks } from '../checks.js';
import { checkClaimConnections } from './claim-connection.js';
import { checkContext } from './context-runner.js';
import { checkDriver } from './driver.js';
import { checkExecutors } from './executor.js';
import { checkHandlerClients } from './handler-client.js';
import { checkHandlerEnds } from './handler-end.js';
import { checkHandlers } from './handler-transaction.js';
import { checkPgClient } from './pg-client.js';
import { checkPipelines } from './pipeline.js';
import { checkPrefixedQueries } from './prefixed-query.js';
import { checkPreparedStatements } from './prepared-statement-cache.js';
import { checkSchemaBuilder } from './schema-builder.js';
import { Subject } from './subject.js';

const [directory = '', url = '', extent] = process.argv.slice(2);
const require = createRequire(path.join(directory, 'package.json'));
const versionOf = (/** @type {string} */ name) =>
  require(path.join(directory, 'node_modules', name, 'package.json')).version;

/** Loads compiled files of the library by absolute path, because its `exports` hide them. */
const load = (/** @type {string} */ file) =>
  import(pathToFileURL(path.join(directory, 'node_modules/nestjs-pgpubsub/dist', file)).href);

const typeorm = require('typeorm');
const cell = {
  url,
  load,
  typeorm,
  pg: require('pg'),
  Cursor: require('pg-cursor'),
  QueryStream: require('pg-query-stream'),
  copyFrom: require('pg-copy-streams').from,
};
const checks = new Checks();
const abandon = () => process.exit(1);
process.once('disconnect', abandon);
const pgName = `pg ${versionOf('pg')}`;

if (extent === 'all') {
  const subject = new Subject(pgName, checks, cell);
  for (const check of [checkPgClient, checkPrefixedQueries, checkPreparedStatements]) await check(subject);
  await subject.close();
}
const subject = new Subject(`${pgName}, TypeORM ${versionOf('typeorm')}`, checks, cell);
await subject.createTables();
for (const check of [
  checkDriver,
  checkExecutors,
  checkSchemaBuilder,
  checkContext,
  checkClaimConnections,
  checkPipelines,
  checkHandlers,
  checkHandlerClients,
  checkHandlerEnds,
])
  await check(subject);
await subject.close();
process.send?.({ type: 'counted', passed: checks.passed, failed: checks.failed });
process.off('disconnect', abandon);
process.disconnect?.();
