import { NotifyChanges, withPgPubSub } from 'nestjs-pgpubsub';
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { expect, it } from 'vitest';
import { secretsCheck } from '../../../lib/cli/doctor/secrets.check.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();

/** Examines an entity with these columns. */
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
])('warns of a carried column "%s"', async (name) => {
  expect(await examine(['name', name])).toMatchObject([
    { severity: 'warning', found: `Notifications of public.account on channel "account" carry "${name}".` },
  ]);
});

it.each([
  ['columns with harmless names', ['name', 'passenger', 'spinner', 'tokenized_at', 'compass'], {}],
  ['a column that is excluded', ['password'], { exclude: ['password'] }],
  ['a column that is not among those carried', ['name', 'password'], { columns: ['name'] }],
])('is content with %s', async (_name, names, options) => {
  expect(await examine(names, options)).toMatchObject([{ severity: 'good' }]);
});
