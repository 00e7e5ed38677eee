import { Column, Entity, PrimaryGeneratedColumn, type ColumnOptions } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { NotifyChanges, createNotifyTrigger, dropNotifyTrigger } from 'nestjs-pgpubsub';
import { LEVELS, useMigrations } from '../../support/migrations.js';

const { client, connect, migrateTo, sentBy } = useMigrations();

const WHEN = 'coalesce(NEW.rank, OLD.rank) is not null';

/** A table with triggers that read the column `rank` wherever they can. */
function ranked(level: 'row' | 'statement', rank: ColumnOptions) {
  @Entity('author')
  @NotifyChanges({ level, columns: ['id', 'rank'], of: ['rank'], when: WHEN })
  @NotifyChanges({ level, channel: 'all', when: WHEN })
  class Author {
    @PrimaryGeneratedColumn() id!: number;
    @Column({ default: '1', ...rank }) rank!: unknown;
  }
  return Author;
}

describe.each(LEVELS)('a session whose trigger at level "%s" reads a retyped column', (level) => {
  /**
   * The notifications on both channels of the same session, before and after the change of the
   * type.
   */
  async function sentAround(before: ColumnOptions, retype: () => Promise<unknown>) {
    await migrateTo([ranked(level, before)]);
    const writer = await client();
    const write = async () => {
      await writer.query('insert into author default values');
      await writer.query(`update author set rank = '2'`);
      await writer.query('delete from author');
    };
    for (let time = 0; time < 7; time++) await write(); // the sixth time uses generic plans
    await retype();
    const all: string[] = [];
    const some = await sentBy('author', async () => {
      all.push(...(await sentBy('all', write)).map(({ operation }) => operation));
    });
    expect(some.map(({ old, new: row }) => [old?.['rank'], row?.['rank']].map(String))).toEqual([
      ['undefined', '1'],
      ['1', '2'],
      ['2', 'undefined'],
    ]);
    return all;
  }

  it.each<[string, ColumnOptions, ColumnOptions]>([
    ['integer to bigint', { type: 'integer' }, { type: 'bigint' }],
    ['integer to text', { type: 'integer' }, { type: 'text' }],
    ['a longer varchar', { type: 'varchar', length: 10 }, { type: 'varchar', length: 20 }],
  ])('notifies every write after a generated migration: %s', async (_, before, after) => {
    const sent = await sentAround(before, () => migrateTo([ranked(level, after)]));
    expect(sent).toEqual(['insert', 'update', 'delete']);
  });

  it('notifies every write after a handwritten migration that creates the triggers again', async () => {
    const sent = await sentAround({ type: 'integer' }, async () => {
      const runner = (await connect([])).createQueryRunner();
      const all = [{ columns: ['id', 'rank'], of: ['rank'] }, { channel: 'all' }];
      for (const literals of all) await dropNotifyTrigger(runner, { table: 'author', ...literals });
      await runner.query('alter table author alter column rank type bigint');
      for (const literals of all)
        await createNotifyTrigger(runner, { table: 'author', level, when: WHEN, ...literals });
      await runner.release();
    });
    expect(sent).toEqual(['insert', 'update', 'delete']);
  });
});
