import { Column, Entity, type DataSource, PrimaryGeneratedColumn } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { NotifyChanges, createNotificationStorage, dropNotificationStorage } from 'nestjs-pgpubsub';
import { describeDifference, verifySchema } from '../../../lib/triggers/schema.verifier.js';
import { NOTHING, STORED, generate, inTransaction, useStorage } from '../../support/storage.js';

const { connect, migrate, query, snapshot } = useStorage();

@Entity()
@NotifyChanges({ delivery: 'exactly-once' })
class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text') name!: string;
}

/** The tables and functions of the library, by schema and name. */
async function storage(): Promise<string[]> {
  const { tables = [], functions = [] } = await snapshot();
  const names = [...tables, ...functions].map((row) =>
    [row['nspname'], row['relname'] ?? row['proname']].join('.'),
  );
  return names.filter((name) => /\.pgpubsub_\w+$/.test(name));
}

const driftOf = async (source: DataSource): Promise<string[]> =>
  (await verifySchema(source)).drift.map(describeDifference);

describe('the owner of the storage', () => {
  it('alone changes and drops it, and other applications use it', async () => {
    await migrate(await connect({ channels: [STORED] }));
    const other = await connect({
      channels: [STORED],
      dataSource: { migrationsTableName: 'their_migrations' },
    });
    expect(await generate(other)).toEqual(NOTHING);
    expect((await verifySchema(other)).drift).toEqual([]);
    await other.destroy();
    const leaving = await connect({ dataSource: { migrationsTableName: 'their_migrations' } });
    expect(await generate(leaving)).toEqual(NOTHING);
  });

  it('owns all of its tables: a table of another role is rejected before it is read', async () => {
    const role = `stranger_${Math.random().toString(36).slice(2)}`;
    await query(`create role ${role}`);
    try {
      await connect({ channels: [STORED], dataSource: { synchronize: true } });
      await query(`alter table pgpubsub_dead_letter owner to ${role}`);
      const source = await connect({ channels: [STORED] });
      await expect(generate(source)).rejects.toMatchObject({
        code: 'SCHEMA_DRIFTED',
        message: expect.stringMatching(
          new RegExp(
            `public.pgpubsub_dead_letter to be a table of the role that owns .* got one of the role "${role}"`,
          ),
        ),
      });
    } finally {
      await query(`drop owned by ${role} cascade; drop role ${role}`);
    }
  });

  it('is the role of the option `role`, whichever role connects', async () => {
    const role = `owner_${Math.random().toString(36).slice(2)}`;
    await query(`create role ${role}; grant create on schema public to ${role}`);
    try {
      const source = await connect({ channels: [STORED], role });
      const { up } = await generate(source);
      await query(`set role ${role}; ${up.join(';')}`);
      expect(await generate(source)).toEqual(NOTHING);
      const unnamed = await connect({ channels: [STORED] });
      await expect(generate(unnamed)).rejects.toMatchObject({ code: 'SCHEMA_DRIFTED' });
    } finally {
      await query(`drop owned by ${role} cascade; drop role ${role}`);
    }
  });

  it('keeps it while triggers of other owners use it', async () => {
    const source = await connect({ channels: [STORED], dataSource: { synchronize: true } });
    await connect({ owner: 'other', dataSource: { entities: [Author], synchronize: true } });
    await expect(inTransaction(source, (runner) => dropNotificationStorage(runner))).rejects.toMatchObject({
      code: 'INVALID_TRIGGER',
      message: expect.stringContaining('to use the storage in the schema "public", got one of "other"'),
    });
  });

  it('adopts a storage without an owner', async () => {
    const source = await connect({ channels: [STORED], dataSource: { synchronize: true } });
    const before = await snapshot();
    await query('comment on table pgpubsub_notification is null');
    expect(await driftOf(source)).toEqual(['drifted: storage in schema public (its comment is missing)']);
    await migrate(source);
    expect(await snapshot()).toEqual(before);
  });
});

describe('a handwritten migration', () => {
  it('creates the same storage as a generated one, and drops it', async () => {
    const source = await connect({ channels: [STORED] });
    const before = await snapshot();
    await inTransaction(source, (runner) => createNotificationStorage(runner));
    expect(await generate(source)).toEqual(NOTHING);
    await inTransaction(source, (runner) => dropNotificationStorage(runner));
    expect(await snapshot()).toEqual(before);
  });

  it('creates and drops the storage in a given schema and for a given owner', async () => {
    await query('create schema stored');
    const source = await connect({ channels: [STORED], schema: 'stored', owner: 'me' });
    const plain = await connect();
    await inTransaction(plain, (runner) =>
      createNotificationStorage(runner, { schema: 'stored', owner: 'me' }),
    );
    expect(await generate(source)).toEqual(NOTHING);
    await inTransaction(plain, (runner) => dropNotificationStorage(runner, { schema: 'stored' }));
    expect(await storage()).toEqual([]);
  });
});
