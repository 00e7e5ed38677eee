// @ts-check
/** The systems that send and receive broadcasts. Both ends run in this process. */
import { PgNotifyClient, PgNotifyServer } from 'nestjs-pg-notify';
import pg from 'pg';
import createSubscriber from 'pg-listen';
import postgres from 'postgres';
import { lastValueFrom } from 'rxjs';
import { startApp } from './app.js';
import * as settings from './peers.js';

/** @typedef {(payload: any) => void} Received */
/** @typedef {{ notify: (payload: object) => Promise<unknown>, close: () => Promise<unknown> }} Broadcaster */
/** @typedef {(url: string, channel: string, received?: Received) => Promise<Broadcaster>} Start */

/** Two clients of `pg`, without a library. @type {Start} */
export async function barePg(url, channel, received) {
  const [sender, receiver] = [new pg.Client(url), new pg.Client(url)];
  await Promise.all([sender.connect(), receiver.connect()]);
  if (received) {
    receiver.on('notification', ({ payload }) => received(JSON.parse(payload ?? '')));
    await receiver.query(`listen ${channel}`);
  }
  return {
    notify: (payload) => sender.query('select pg_notify($1, $2)', [channel, JSON.stringify(payload)]),
    close: () => Promise.all([sender.end(), receiver.end()]),
  };
}

/** @type {Start} */
export async function postgresJs(url, channel, received) {
  const sql = postgres(url, settings.postgresJs);
  if (received) await sql.listen(channel, (payload) => received(JSON.parse(payload)));
  return {
    notify: (payload) => sql.notify(channel, JSON.stringify(payload)),
    close: () => sql.end(),
  };
}

/** @type {Start} */
export async function pgListen(url, channel, received) {
  const subscriber = createSubscriber({ connectionString: url }, settings.pgListen);
  await subscriber.connect();
  if (received) {
    subscriber.notifications.on(channel, received);
    await subscriber.listenTo(channel);
  }
  return { notify: (payload) => subscriber.notify(channel, payload), close: () => subscriber.close() };
}

/** Optional, because its native dependency needs a compiler. @type {Promise<any>} */
const imqueuePackage = import('@imqueue/pg-pubsub').catch(() => undefined);

export const hasImqueue = (await imqueuePackage) !== undefined;

/** @type {Start} */
export async function imqueue(url, channel, received) {
  const { PgPubSub } = await imqueuePackage;
  const logger = { log() {}, info() {}, warn: console.warn, error: console.error };
  const pubsub = new PgPubSub({ connectionString: url, ...settings.imqueue }, logger);
  await pubsub.connect();
  if (received) {
    pubsub.channels.on(channel, received);
    await pubsub.listen(channel);
  }
  return { notify: (payload) => pubsub.notify(channel, payload), close: () => pubsub.destroy() };
}

/** @type {Start} */
export async function nestjsPgNotify(url, channel, received) {
  const options = { connection: { connectionString: url }, logger: quiet };
  const client = new PgNotifyClient(options);
  await client.onApplicationBootstrap(); // as Nest does with a provider
  const server = received && (await startServer(options, channel, received));
  return {
    notify: (payload) => lastValueFrom(client.emit(channel, payload)),
    close: () => Promise.all([client.close(), server?.close()]),
  };
}

/**
 * Starts a server whose handler is called without guards, pipes and interceptors, which is in its
 * favour. Nest's core does not find @nestjs/microservices, which is no dependency of this project.
 * @param {import('nestjs-pg-notify').PgNotifyOptions} options @param {string} channel @param {Received} received
 */
async function startServer(options, channel, received) {
  const server = new PgNotifyServer(options);
  server.getHandlers().set(channel, async (payload) => received(payload));
  await server.listen(() => {});
  return server;
}

const quiet = { log() {}, warn() {}, error: console.error };

/** @type {Start} */
export async function pgpubsub(url, channel, received) {
  const { pubsub, close } = await startApp(url, received, {}, channel);
  return { notify: (payload) => pubsub.notify(channel, payload), close };
}

/** The order of the tables. @type {readonly (readonly [name: string, start: Start])[]} */
export const broadcasters = [
  ['bare pg', barePg],
  ['postgres.js', postgresJs],
  ['pg-listen', pgListen],
  ...(hasImqueue ? [/** @type {const} */ (['@imqueue/pg-pubsub', imqueue])] : []),
  ['nestjs-pg-notify', nestjsPgNotify],
  ['nestjs-pgpubsub', pgpubsub],
];
