import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';
import { afterEach, describe, expect, it } from 'vitest';
import { Listener, NotifyChanges, PgPubSubError } from 'nestjs-pgpubsub';
import { VERSIONS, newestVersion, type StorageVersion } from '../../../lib/storage/versions.js';
import { TestApp } from '../../support/app.js';
import { Mailbox } from '../../support/mailbox.js';
import { NOTHING, STORED, generate, run, useStorage } from '../../support/storage.js';

const { connect, migrate, query, snapshot, url } = useStorage();

@Entity('author')
@NotifyChanges({ delivery: 'exactly-once' })
class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') name!: string;
}

/** A version that adds a column, an index and a function. */
const second = (servesFrom: number): StorageVersion => ({
  number: 2,
  servesFrom,
  up: ({ storage: { schema } }) => [
    `alter table "${schema}".pgpubsub_notification add column note text not null default 'none'`,
    `create index pgpubsub_notification_note on "${schema}".pgpubsub_notification (note)`,
    `create function "${schema}".pgpubsub_note() returns text language sql as 'select null::text'`,
  ],
  down: ({ storage: { schema } }) => [
    `drop function "${schema}".pgpubsub_note()`,
    `alter table "${schema}".pgpubsub_notification drop column note`,
  ],
  objects: {},
});

afterEach(() => VERSIONS.splice(1));

const comments = () =>
  query<{ comment: string }>(
    "select obj_description('pgpubsub_notification'::regclass, 'pg_class') as comment",
  );

describe('a newer version of the storage', () => {
  it('is a migration that can be reverted exactly, and both directions keep waiting notifications', async () => {
    const source = await connect({ dataSource: { entities: [Author] } });
    await run(source, (await generate(source)).up);
    await query(`insert into author (name) values ('a'), ('b'); insert into pgpubsub_dead_letter (id, channel, listener)
      values (7, 'author', 'L')`); // prettier-ignore
    const waiting = () => query('select id, channel, payload from pgpubsub_notification order by id');
    const before = await waiting();
    VERSIONS.push(second(1));
    const { up, down } = await migrate(source);
    expect(await comments()).toEqual([{ comment: 'pgpubsub:public.migrations:v2 from v1' }]);
    expect([up.length, down.length]).toEqual([4, 3]);
    expect(await waiting()).toEqual(before);
    expect(await query('select distinct note from pgpubsub_notification')).toEqual([{ note: 'none' }]);
    await run(source, down);
    VERSIONS.splice(1);
    expect(await generate(source)).toEqual(NOTHING);
    expect(await comments()).toEqual([{ comment: 'pgpubsub:public.migrations:v1 from v1' }]);
    expect(await waiting()).toEqual(before);
    expect(await query('select id, listener from pgpubsub_dead_letter')).toEqual([
      { id: '7', listener: 'L' },
    ]);
  });

  it('is created in one migration without an older version, and dropped completely', async () => {
    VERSIONS.push(second(1));
    await migrate(await connect({ channels: [STORED] }));
    expect(await comments()).toEqual([{ comment: 'pgpubsub:public.migrations:v2 from v1' }]);
    await migrate(await connect());
    expect((await snapshot())['tables']).toEqual([]);
  });
});

describe('two applications on one storage', () => {
  const arrived = new Mailbox<string>();

  class Inbox {
    @Listener(STORED)
    take(payload: never): void {
      arrived.push(JSON.stringify(payload));
    }
  }

  /** Starts the application that does not own the storage. */
  const start = () =>
    TestApp.start({ url: url(), providers: [Inbox], dataSource: { migrationsTableName: 'theirs' } });

  const owner = () => connect({ channels: [STORED] });

  async function upgrade(servesFrom: number): Promise<void> {
    VERSIONS.push(second(servesFrom));
    const source = await owner();
    await run(source, (await generate(source)).up);
    VERSIONS.splice(1);
  }

  it('continue when the owner upgrades to a version that serves both', async () => {
    const source = await owner();
    await run(source, (await generate(source)).up);
    await using running = await start();
    await upgrade(1);
    await running.pubsub.notify(STORED, 1 as never);
    expect(await arrived.take(1)).toEqual(['1']);
    await running.close();
    await using again = await start();
    await again.pubsub.notify(STORED, 2 as never);
    expect(await arrived.take(1)).toEqual(['2']);
  });

  it('fail with the request to upgrade the library when the storage does not serve it any more', async () => {
    const source = await owner();
    await run(source, (await generate(source)).up);
    await upgrade(2);
    expect(await rejection(start)).toBe(
      `SCHEMA_DRIFTED: expected version ${newestVersion().number} of the storage in the schema "public", got version 2, ` +
        'which serves libraries of version 2 and later. Upgrade nestjs-pgpubsub in this application.',
    );
    expect(await rejection(async () => generate(await owner()))).toMatch(
      /^SCHEMA_DRIFTED: .*Upgrade nestjs-pgpubsub/,
    );
  });

  it('fail with the owner of the migrations to run first when the library is newer than the storage', async () => {
    const source = await owner();
    await run(source, (await generate(source)).up);
    VERSIONS.push(second(1));
    expect(await rejection(start)).toMatch(
      /^SCHEMA_DRIFTED: expected version 2 of the storage in the schema "public", got version 1, which belongs to "public\.migrations"\. Migrate "public\.migrations" first, with the same version of nestjs-pgpubsub;/,
    );
    expect((await generate(await owner())).up.length).toBe(4);
  });
});

async function rejection(act: () => Promise<unknown>): Promise<string> {
  try {
    await act();
  } catch (error) {
    return error instanceof PgPubSubError ? `${error.code}: ${error.message}` : String(error);
  }
  return 'no error';
}
