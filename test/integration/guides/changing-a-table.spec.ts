import type { Type } from '@nestjs/common';
import { withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { expect, it } from 'vitest';
import type { TestApp } from '../../support/app.js';
import { eventually } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';
import { Badge } from './changing-a-table/badge.entity.js';
import * as release0 from './changing-a-table/release-0.app.js';
import * as release1 from './changing-a-table/release-1.app.js';
import * as release2 from './changing-a-table/release-2.app.js';
import * as release3 from './changing-a-table/release-3.app.js';

const database = useDatabase();

const MIGRATIONS = [
  release0.CreateMembers1800000000000,
  release1.AddNameParts1800000000001,
  release2.FillNameParts1800000000002,
  release3.DropName1800000000003,
];

/**
 * Runs the migrations as `typeorm migration:run` of this release does; no change is left to
 * generate afterwards.
 */
async function migrate(release: number, member: Type): Promise<void> {
  const source = withPgPubSub(
    new DataSource({
      type: 'postgres',
      url: database.url,
      entities: [member, Badge],
      migrations: MIGRATIONS.slice(0, release + 1),
    }),
  );
  await source.initialize();
  await source.runMigrations();
  const { upQueries } = await source.driver.createSchemaBuilder().log();
  await source.destroy();
  expect(upQueries.map(({ query }) => query).filter((query) => /pgpubsub/.test(query))).toEqual([]);
}

const start = (member: Type, badges: Type): Promise<TestApp> =>
  database.start({
    dataSource: { entities: [member, Badge] },
    patch: withPgPubSub,
    providers: [badges],
  });

const badges = async (): Promise<string[]> =>
  (await database.query<{ text: string }>('select text from badge order by id')).map(({ text }) => text);
const printed = (...texts: string[]) =>
  eventually(
    async () => JSON.stringify(await badges()) === JSON.stringify(texts),
    `${texts.join()} are printed`,
  );

it('the releases of docs/guides/changing-a-table.md neither lose nor misread waiting changes', async () => {
  const name = 'FillNameParts1800000000002';
  await migrate(0, release0.Member);
  await database.query(`insert into member (name) values ('Ada Lovelace')`); // stored in the oldest form
  await migrate(1, release1.Member);
  {
    await using _app = await start(release1.Member, release1.Badges);
    await printed('Ada');
  }
  await database.query(`insert into member (name) values ('Grace Hopper')`); // written by a process with the old code

  await migrate(2, release2.Member);
  await expect(database.query('select from pgpubsub_notification')).resolves.toHaveLength(1); // the update of the migration notified no listener
  await expect(database.query('select "firstName", "lastName" from member order by id')).resolves.toEqual([
    { firstName: 'Ada', lastName: 'Lovelace' },
    { firstName: 'Grace', lastName: 'Hopper' },
  ]);
  {
    await using app = await start(release2.Member, release2.Badges);
    await printed('Ada', 'Grace');
    await eventually(
      async () => (await app.pubsub.stored.count({ beforeMigration: name })) === 0,
      'nothing of the old form waits',
    );
  }
  await database.query(`insert into member ("firstName", "lastName") values ('Joan', 'Clarke')`);

  await migrate(3, release3.Member);
  await using app = await start(release3.Member, release3.Badges);
  await printed('Ada', 'Grace', 'Joan');
  await expect(app.pubsub.stored.count({ beforeMigration: name })).resolves.toBe(0);
});
