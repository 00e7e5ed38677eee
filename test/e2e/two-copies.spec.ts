import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Catch, Injectable, UseFilters, type ExceptionFilter } from '@nestjs/common';
import * as library from 'nestjs-pgpubsub';
import * as typeorm from 'typeorm';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { Mailbox } from '../support/mailbox.js';
import { Effect, useStored } from '../support/stored.js';

const { Listener, defineChannel } = library;
const { start, query, deadLetters, settled } = useStored();

/** A second built library and a second TypeORM, as installed in a monorepo. */
let otherLibrary: typeof library;
let otherTypeorm: typeof typeorm;
let folder: string;

beforeAll(async () => {
  const root = path.resolve(import.meta.dirname, '../..');
  mkdirSync(path.join(root, 'node_modules/.cache'), { recursive: true });
  // dependencies resolve from here
  folder = mkdtempSync(path.join(root, 'node_modules/.cache/copies-'));
  cpSync(path.join(root, 'dist'), path.join(folder, 'nestjs-pgpubsub/dist'), { recursive: true });
  cpSync(path.join(root, 'package.json'), path.join(folder, 'nestjs-pgpubsub/package.json'));
  cpSync(path.join(root, 'node_modules/typeorm'), path.join(folder, 'typeorm'), { recursive: true });
  const built = pathToFileURL(path.join(folder, 'nestjs-pgpubsub/dist/index.js')).href;
  otherLibrary = (await import(/* @vite-ignore */ built)) as typeof library;
  otherTypeorm = createRequire(import.meta.url)(path.join(folder, 'typeorm')) as typeof typeorm;
  expect(otherLibrary.PgPubSubError).not.toBe(library.PgPubSubError);
  expect(otherTypeorm.EntityManager).not.toBe(typeorm.EntityManager);
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect'));

it('the library accepts errors, definitions, decorators and ACKNOWLEDGED of another copy of itself', async () => {
  const Orders = otherLibrary.defineChannel<string>('orders', { delivery: 'exactly-once' });
  @Catch(RangeError)
  class Acknowledges implements ExceptionFilter {
    catch() {
      return otherLibrary.ACKNOWLEDGED;
    }
  }
  @Injectable()
  class Handler {
    @UseFilters(Acknowledges)
    @otherLibrary.Listener(Orders)
    handle(payload: string) {
      if (payload === 'acknowledged') throw new RangeError('acknowledged');
      throw new otherLibrary.NonRetryableError('not to be retried');
    }
  }
  await using app = await start({
    providers: [Handler],
    channels: [defineChannel<string>('orders', { delivery: 'exactly-once' })],
  });
  await app.pubsub.notifyMany(Orders, ['acknowledged', 'failed']);
  await settled(Orders);
  expect(await deadLetters(Orders)).toMatchObject([{ payload: 'failed', attempts: 1 }]);
  await expect(app.pubsub.notify(otherLibrary.defineChannel('orders'), 1)).rejects.toMatchObject({
    code: 'CHANNEL_CONFLICT',
  });
});

it('the library sends the context of transactions of another copy of TypeORM', async () => {
  const contexts = new Mailbox<unknown>();
  @Injectable()
  class Handler {
    @Listener('orders')
    handle(_payload: unknown, { context }: library.Notification) {
      contexts.push(context);
    }
  }
  await using app = await start({
    providers: [Handler],
    patch: ({ options }) => new otherTypeorm.DataSource({ ...options, entities: [] }),
  });
  expect(app.dataSource.manager).toBeInstanceOf(otherTypeorm.EntityManager);
  await app.pubsub.withContext({ tenant: 'acme' }, (manager) => app.pubsub.notify('orders', 1, { manager }));
  await app.dataSource.transaction((manager) =>
    app.pubsub.withContext({ tenant: 'bolt' }, () => app.pubsub.notify('orders', 2, { manager }), {
      manager,
    }),
  );
  const runner = app.dataSource.createQueryRunner();
  await runner.startTransaction();
  await app.pubsub.withContext(
    { tenant: 'core' },
    () => app.pubsub.notify('orders', 3, { manager: runner }),
    { manager: runner },
  );
  await runner.commitTransaction();
  await runner.release();
  expect(await contexts.take(3)).toEqual([{ tenant: 'acme' }, { tenant: 'bolt' }, { tenant: 'core' }]);
});

it('withPgPubSub() accepts definitions of another copy of the library', async () => {
  const Payments = otherLibrary.defineChannel('payments', { delivery: 'exactly-once' });
  const dataSource = new typeorm.DataSource({ type: 'postgres', entities: [Effect] });
  expect(library.withPgPubSub(dataSource, { channels: [Payments] })).toBe(dataSource);
});
