import { type DataSource } from 'typeorm';
import { PgPubSubModule } from 'nestjs-pgpubsub';
import { describe, expect, it } from 'vitest';
import { Author, authorListeners, useAuthors } from '../../support/authors.js';

const { database, start } = useAuthors();

describe('an entity', () => {
  it('can be registered by forFeature()', async () => {
    const { provider, seen } = authorListeners();
    await using app = await start({ providers: [provider], imports: [PgPubSubModule.forFeature([Author])] });
    await app.dataSource.getRepository(Author).insert({ name: 'a' });
    expect((await seen.next())[0]).toBe('inserted');
  });
});

describe('the start of an application', () => {
  const unwrapped = (dataSource: DataSource) => dataSource;

  it('reports missing, drifted and disabled triggers with the remedy', async () => {
    const missing = start({ patch: unwrapped });
    await expect(missing).rejects.toMatchObject({ code: 'SCHEMA_DRIFTED' });
    await expect(missing).rejects.toThrow(
      /missing: table public.pgpubsub_notification; .*missing: trigger _pgpubsub_author_insert on public.author.*Wrap the DataSource in withPgPubSub\(\), then run "typeorm migration:generate"/,
    );
    await (await start()).close();
    const dataSource = { entities: [Author], synchronize: false };
    await (await start({ dataSource })).close();
    await database.query('alter table author disable trigger user');
    await expect(start({ dataSource })).rejects.toThrow(
      /disabled: trigger _pgpubsub_author_insert on public.author; .*\. Run "typeorm migration:run", after "typeorm migration:generate" where/,
    );
    await database.query('alter table author enable trigger user');
    await database.query(
      'create or replace function pgpubsub_broadcast() returns trigger language plpgsql as $$ begin return null; end $$',
    );
    await expect(start({ dataSource })).rejects.toThrow(
      /got drifted: function public.pgpubsub_broadcast\. Undo what was changed by hand/,
    );

    await using warned = await start({ dataSource, options: { verifySchema: 'warn' } });
    await warned.log.find(({ level, text }) => level === 'warn' && text.includes('drifted: function'));
    await using silent = await start({ dataSource, options: { verifySchema: false, listen: false } });
    expect(silent.log.all.filter(({ level }) => level === 'warn')).toEqual([]);
  });

  it('creates missing triggers and the storage with `synchronize`', async () => {
    const { provider, seen } = authorListeners();
    await using app = await start({
      providers: [provider],
      patch: unwrapped,
      options: { synchronize: true },
    });
    await app.dataSource.getRepository(Author).insert({ name: 'a' });
    expect((await seen.next())[1].new?.name).toBe('a');
  });
});
