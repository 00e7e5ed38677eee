import { NotifyChanges, withPgPubSub } from 'nestjs-pgpubsub';
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { expect, it } from 'vitest';
import { secretsCheck } from '../../../lib/cli/doctor/secrets.check.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();

/** Runs the check on an entity with these columns. */
async function examine(names: readonly string[], options: object = {}) {
  class Account {}
  Entity()(Account);
  PrimaryGeneratedColumn()(Account.prototype, 'id');
  for (const name of names) Column('text', { nullable: true })(Account.prototype, name);
  NotifyChanges(options)(Account);
  const source = new DataSource({
    type: 'postgres',
    url: database.url,
    entities: [Account],
    synchronize: true,
    dropSchema: true,
  });
  await withPgPubSub(source).initialize();
  const limits = { listenUrl: undefined, maxTransactionAgeMs: 0, maxBacklogAgeMs: 0 };
  try {
    return await secretsCheck.run({ dataSource: source, ...limits });
  } finally {
    await source.destroy();
  }
}

it.each([
  'password',
  'passwordHash',
  'api_key',
  'apiKey',
  'token',
  'access_token',
  'refreshToken',
  'client_secret',
  'pin',
])('the check of secrets warns about a column "%s" in notifications', async (name) => {
  expect(await examine(['name', name])).toMatchObject([
    { severity: 'warning', found: `Notifications of public.account on channel "account" carry "${name}".` },
  ]);
});

it.each([
  ['columns with harmless names', ['name', 'passenger', 'spinner', 'tokenized_at', 'compass'], {}],
  ['an excluded column', ['password'], { exclude: ['password'] }],
  ['a column that is not in the list of columns', ['name', 'password'], { columns: ['name'] }],
])('the check of secrets accepts %s', async (_name, names, options) => {
  expect(await examine(names, options)).toMatchObject([{ severity: 'good' }]);
});
