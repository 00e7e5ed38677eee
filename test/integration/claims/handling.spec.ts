import { Injectable } from '@nestjs/common';
import { Listener, defineChannel, type Notification } from 'nestjs-pgpubsub';
import type { EntityManager } from 'typeorm';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { TestApp } from '../../support/app.js';
import { Mailbox } from '../../support/mailbox.js';
import { Effect, recordParsed, recordStatements, useStored } from '../../support/stored.js';

const { start, query, deadLetters, settled, effects, waiting } = useStored();
afterEach(async () => {
  vi.restoreAllMocks();
  await query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect');
});

type Handle = (payload: unknown, notification: Notification) => unknown;

const Orders = defineChannel<unknown>('orders', { delivery: 'exactly-once' });

const write = (manager: EntityManager, what: string) =>
  manager.query('insert into effect (what) values ($1)', [what]);

/** Stores notifications before a listener starts, so that one claim takes all of them. */
async function handle(given: readonly unknown[], handler: Handle): Promise<TestApp> {
  @Injectable()
  class Handler {
    @Listener(Orders, { retry: { maxAttempts: 2 } })
    receive(payload: unknown, notification: Notification) {
      return handler(payload, notification);
    }
  }
  await using sender = await start({ channels: [Orders], options: { listen: false } });
  await sender.pubsub.notifyMany(Orders, given);
  return start({ providers: [Handler], options: { concurrency: 1, batch: { maxTimeMs: 60_000 } } });
}

const errors = async () => (await deadLetters(Orders)).map(({ last_error: text }) => String(text));

describe('the manager', () => {
  it('belongs to the transaction that also completes the notification', async () => {
    await query('create table completed (txid text)');
    await query(`create function completed() returns trigger language plpgsql as
      $$ begin insert into completed values (txid_current()::text); return null; end $$`);
    await query('create trigger t after delete on pgpubsub_notification for each row execute function completed()'); // prettier-ignore
    try {
      await using _app = await handle([1, 2], async (_, { manager }) => {
        const [row] = await manager.query<{ txid: string }[]>('select txid_current()::text as txid');
        await write(manager, String(row?.txid));
      });
      await settled(Orders);
      const rows = await query<{ txid: string }>('select txid from completed');
      expect(rows).toHaveLength(2);
      expect(await effects()).toEqual(rows.map(({ txid }) => txid));
    } finally {
      await query('drop function completed cascade');
    }
  });

  it('supports repositories, save(), query builders and nested transactions of TypeORM', async () => {
    await using _app = await handle([1], async (_, { manager }) => {
      await manager.getRepository(Effect).save({ what: 'saved' });
      await manager.createQueryBuilder().insert().into(Effect).values({ what: 'built' }).execute();
      await manager.transaction((inner) => inner.insert(Effect, { what: 'nested' }));
      const failing = manager.transaction(async (inner) => {
        await inner.insert(Effect, { what: 'lost' });
        throw new Error('only the nested one');
      });
      await expect(failing).rejects.toThrow('only the nested one');
      await manager.save(Object.assign(new Effect(), { what: String(await manager.count(Effect)) }));
    });
    await settled(Orders);
    expect(await effects()).toEqual(['saved', 'built', 'nested', '3']);
    expect(await errors()).toEqual([]);
  });

  it('sends a savepoint with its first use, and nothing without a use', async () => {
    const handled = new Mailbox<unknown>();
    const sent = recordStatements();
    const parsed = recordParsed();
    await using _app = await handle([1, 'w1', 2, 'w2', 3], async (payload, { manager }) => {
      if (typeof payload === 'string') {
        await write(manager, payload);
        await write(manager, payload);
      }
      handled.push(payload);
    });
    await handled.take(5);
    await settled(Orders);
    const claim = sent.findIndex(({ text }) => text.includes('for update skip locked'));
    const client = sent[claim]?.client;
    const texts = sent.slice(claim + 1).filter((statement) => statement.client === client).map(({ text }) => text); // prettier-ignore
    const end = texts.findIndex((text) => text.endsWith('commit'));
    expect(texts.slice(0, end).map((text) => text.slice(0, 6))).toEqual([
      'insert',
      'insert',
      'insert',
      'insert',
    ]);
    expect(
      parsed
        .filter((text) => /savepoint|^insert/.test(text))
        .map((text) => text.replace(/^insert.*/s, 'insert')),
    ).toEqual([
      'savepoint pgpubsub_handler',
      'insert',
      'insert', // a named statement from here on, which is not parsed again
      'release savepoint pgpubsub_handler',
      'savepoint pgpubsub_handler',
    ]);
    expect(texts[end]).toMatch(
      /^release savepoint pgpubsub_handler; select "public"\."pgpubsub_complete"\([^;]*\); commit$/,
    );
  });

  it('rejects statements after the end of the handler, so that they cannot reach another transaction', async () => {
    const kept = new Mailbox<EntityManager>();
    await using _app = await handle([1], (_, { manager }) => kept.push(manager));
    await settled(Orders);
    const manager = await kept.next();
    await expect(write(manager, 'late')).rejects.toThrow(/after its end.*Await every statement/);
    await expect(manager.insert(Effect, { what: 'late' })).rejects.toThrow('after its end');
    expect(await effects()).toEqual([]);
  });

  it('does not let a handler end its transaction', async () => {
    await using _app = await handle(['commit', 'rollback', 'good'], async (payload, { manager }) => {
      await write(manager, `${String(payload)} before`);
      if (payload === 'commit') await manager.queryRunner?.commitTransaction();
      if (payload === 'rollback') await manager.queryRunner?.rollbackTransaction();
      await manager.queryRunner?.release();
      await write(manager, `${String(payload)} after`);
    });
    await settled(Orders);
    expect(await effects()).toEqual(['good before', 'good after']);
    const found = await errors();
    expect(found).toHaveLength(2);
    for (const error of found) expect(error).toMatch(/to leave its transaction to the claim/);
  });

  it('does not let a statement end its transaction', async () => {
    await using _app = await handle(
      ['commit', 'ROLLBACK', ' /* x */ end', 'good'],
      async (payload, { manager }) => {
        // prettier-ignore
        await write(manager, 'before');
        await manager.query(payload === 'good' ? 'select 1' : String(payload));
      },
    );
    await settled(Orders);
    expect(await effects()).toEqual(['before']);
    for (const error of await errors()) expect(error).toMatch(/to leave its transaction to the claim/);
    expect(await errors()).toHaveLength(3);
  });
});

describe('a handler that fails', () => {
  it('loses its own writes, and no other row runs twice', async () => {
    const runs: unknown[] = [];
    await using _app = await handle([1, 'bad', 2, 'worse', 3], async (payload, { manager }) => {
      runs.push(payload);
      await write(manager, String(payload));
      if (payload === 'bad') throw new Error('bad one');
      if (payload === 'worse') await manager.query('select 1 / 0');
    });
    await settled(Orders);
    expect((await effects()).toSorted()).toEqual(['1', '2', '3']);
    expect(runs.map(String).toSorted()).toEqual(['1', '2', '3', 'bad', 'bad', 'worse', 'worse']);
    const [first, second] = await errors();
    expect(first).toMatch(/^Error: bad one\n\s+at /);
    expect(second).toMatch(/division by zero\n\s+at /);
  });

  it('without a write does not affect the claim', async () => {
    await using _app = await handle([1, 'bad', 2], async (payload, { manager }) => {
      if (payload === 'bad') throw new Error('bad one');
      await write(manager, String(payload));
    });
    await settled(Orders);
    expect(await effects()).toEqual(['1', '2']);
    expect(await deadLetters(Orders)).toHaveLength(1);
  });

  it('because of an SQL error that it swallowed stores this error, and the claim continues', async () => {
    await using _app = await handle([1, 'swallows', 2], async (payload, { manager }) => {
      await write(manager, String(payload));
      if (payload === 'swallows') await manager.query('select 1 / 0').catch(() => undefined);
    });
    await settled(Orders);
    expect(await effects()).toEqual(['1', '2']);
    expect(await errors()).toEqual([expect.stringMatching(/division by zero/)]);
  });

  it('only in a nested transaction can continue after an SQL error', async () => {
    await using _app = await handle([1], async (_, { manager }) => {
      await write(manager, 'before');
      await manager.transaction((inner) => inner.query('select 1 / 0')).catch(() => undefined);
      await write(manager, 'after');
    });
    await settled(Orders);
    expect(await effects()).toEqual(['before', 'after']);
    expect(await errors()).toEqual([]);
  });

  it('loses its statements that were not awaited, too', async () => {
    await using _app = await handle(['bad', 1], async (payload, { manager }) => {
      const writing = write(manager, String(payload)).catch(() => undefined);
      if (payload === 'bad') throw new Error('bad one');
      await writing;
    });
    await settled(Orders);
    expect(await effects()).toEqual(['1']);
  });
});

describe('a statement that a handler did not await', () => {
  it('belongs to its handler, and is kept when the next handler fails', async () => {
    await using _app = await handle(['careless', 'bad'], async (payload, { manager }) => {
      const writing = write(manager, String(payload));
      if (payload === 'careless') return;
      await writing;
      throw new Error('bad one');
    });
    await settled(Orders);
    expect(await effects()).toEqual(['careless']);
    expect(await errors()).toHaveLength(1);
  });

  it('fails its handler when it fails, and the other rows commit', async () => {
    await using _app = await handle([1, 'careless', 2], async (payload, { manager }) => {
      await write(manager, String(payload));
      if (payload === 'careless') void manager.query('select 1 / 0').catch(() => undefined);
    });
    await settled(Orders);
    expect((await effects()).toSorted()).toEqual(['1', '2']);
    expect(await errors()).toHaveLength(1);
  });
});

describe('a commit that fails', () => {
  it('fails the row that caused it, and the others are completed', async () => {
    await query('alter table effect add constraint later unique (what) deferrable initially deferred');
    await query("insert into effect (what) values ('taken')");
    try {
      await using app = await handle(['taken', 1, 2], (payload, { manager }) => write(manager, String(payload))); // prettier-ignore
      await app.log.find(({ text }) => text.includes('moved to the dead letters'));
      await settled(Orders);
      expect((await effects()).toSorted()).toEqual(['1', '2', 'taken']);
      expect(await errors()).toEqual([expect.stringContaining('later')]);
      expect(await waiting(Orders)).toEqual([]);
    } finally {
      await query('alter table effect drop constraint later');
    }
  });
});
