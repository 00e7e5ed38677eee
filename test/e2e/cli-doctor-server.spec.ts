import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, type Server } from '../../tools/embedded-postgres.js';
import { Diagnosis, sqlIn } from '../support/doctor.js';
import { eventually } from '../support/mailbox.js';
import { StoredDatabase } from '../support/stored-worker.js';

/** Whether DATABASE_URL names a server, whose settings these tests must not change. */
const isForeign = process.env['DATABASE_URL'] !== undefined;

describe.skipIf(isForeign)('pgpubsub doctor on a server of its own', () => {
  let server: Server;
  let database: StoredDatabase;
  beforeAll(async () => {
    server = await startPostgres({ settings: ['max_notify_queue_pages=64'] });
    database = await StoredDatabase.create(server.url);
  });
  afterAll(async () => {
    await database[Symbol.asyncDispose]();
    await server.stop();
  });

  it('reports transactions that wait to commit their NOTIFY', async () => {
    const first = await database.client();
    const second = await database.client();
    await first.query('set synchronous_commit = on');
    // commits wait for this standby while they hold the lock
    await setting("synchronous_standby_names = 'nobody'");
    const write = `begin; insert into post ("authorId", content, process) values (1, '', ''); notify orders; commit`;
    const held = new AbortController();
    const writeUntilHeld = async () => {
      while (!held.signal.aborted) await first.query(write);
    };
    const committed: Promise<unknown>[] = [writeUntilHeld()];
    const waiting = "select from pg_stat_activity where wait_event = 'SyncRep'";
    await eventually(async () => (await database.query(waiting)).length > 0, 'a commit waits');
    held.abort();
    committed.push(second.query(write));
    try {
      const diagnosis = await Diagnosis.until(
        ({ complaints }) => complaints.some(({ check }) => check === 'commit lock'),
        database.url,
      );
      expect(diagnosis.code).toBe(1);
      expect(diagnosis.complaints).toMatchObject([
        {
          check: 'listen',
          severity: 'bad',
          found: expect.stringContaining(
            'could not be sent: canceling statement due to lock timeout',
          ) as unknown,
        },
        {
          check: 'commit lock',
          severity: 'warning',
          found: expect.stringContaining('5 samples: median 1, at most 1') as unknown,
        },
      ]);
    } finally {
      await setting("synchronous_standby_names = ''");
      await Promise.all(committed);
    }
  });

  it.each([
    ['warning', 12],
    ['bad', 40],
  ])('reports a notification queue that fills up, by severity: %s', async (severity, pages) => {
    const idle = await database.client();
    await idle.query('listen orders');
    await idle.query('begin; select 1'); // does not read notifications until the transaction ends
    const sender = await database.client();
    await sender.query(
      "select pg_notify('orders', repeat('x', 7900) || n) from generate_series(1, $1) as n",
      [pages],
    );
    const diagnosis = await Diagnosis.of(database.url);
    expect(diagnosis.about('notification queue')).toMatchObject([
      { severity, found: expect.stringMatching(/queue is \d\d % full/) as unknown },
    ]);
    await idle.end();
  });

  it('reports that autovacuum is off', async () => {
    await setting('autovacuum = off');
    try {
      const diagnosis = await Diagnosis.until(({ code }) => code === 1, database.url);
      expect(new Set(diagnosis.complaints.map(({ check }) => check))).toEqual(new Set(['vacuum']));
      expect(diagnosis.complaints[0]).toMatchObject({
        severity: 'bad',
        found: expect.stringContaining('autovacuum does not run on this server') as unknown,
        remedy: expect.stringContaining('autovacuum = on') as unknown,
      });
    } finally {
      await setting('autovacuum = on');
    }
  });

  async function setting(assignment: string, { url } = server): Promise<void> {
    const client = new pg.Client(url);
    await client.connect();
    await client.query(`alter system set ${assignment}`);
    await client.query('select pg_reload_conf()');
    await client.end();
  }

  describe('with a standby', () => {
    let standby: Server;
    beforeAll(async () => {
      standby = await startPostgres({
        standbyOf: server,
        settings: ['hot_standby_feedback=on', 'wal_receiver_status_interval=1', 'cluster_name=reports'],
      });
    });
    afterAll(() => standby.stop());

    const standbyUrl = () => {
      const url = new URL(standby.url);
      url.pathname = new URL(database.url).pathname;
      return url.href;
    };

    it('reports that the DataSource is connected to the standby and that the standby rejects LISTEN', async () => {
      const diagnosis = await Diagnosis.of(standbyUrl());
      expect(diagnosis.code).toBe(1);
      expect(diagnosis.about('primary')).toMatchObject([
        { severity: 'bad', found: expect.stringContaining('standby (replica)') as unknown },
      ]);
      expect(diagnosis.about('listen')).toMatchObject([
        {
          severity: 'bad',
          found: expect.stringContaining('cannot execute LISTEN during recovery') as unknown,
        },
      ]);
      expect(diagnosis.complaints).toHaveLength(2);
    });

    it('reports that only the LISTEN connection goes to the standby', async () => {
      const diagnosis = await Diagnosis.of(database.url, '--listen-url', standbyUrl());
      expect(diagnosis.about('primary')).toMatchObject([{ severity: 'good' }]);
      expect(diagnosis.about('listen')).toMatchObject([
        {
          severity: 'bad',
          found: expect.stringContaining('cannot execute LISTEN during recovery') as unknown,
        },
      ]);
    });

    it('names the standby when its transactions hold back vacuum', async () => {
      const reader = await readOnStandby();
      const horizon = 'select from pg_stat_replication where backend_xmin is not null';
      await eventually(
        async () => (await database.query(horizon)).length > 0,
        'the standby tells what it reads',
      );
      await countUp();
      const diagnosis = await Diagnosis.of(database.url);
      await reader.end();
      expect(diagnosis.about('transactions')).toMatchObject([
        {
          severity: 'warning',
          found: expect.stringMatching(/standby "reports" holds back vacuum by \d{6} /) as unknown,
        },
      ]);
    });

    it('names an abandoned replication slot and the statement that drops it', async () => {
      await database.query("select pg_create_physical_replication_slot('left_behind')");
      await setting("primary_slot_name = 'left_behind'", standby);
      const reader = await readOnStandby();
      reader.on('error', () => {}); // the connection ends with the standby
      const horizon = 'select active from pg_replication_slots where xmin is not null';
      await eventually(async () => (await database.query(horizon)).length > 0, 'the slot keeps what is read');
      await standby.halt('QUIT');
      await eventually(
        async () => JSON.stringify(await database.query(horizon)) === '[{"active":false}]',
        'the slot is left alone',
      );
      await countUp();

      const diagnosis = await Diagnosis.of(database.url);

      const found = diagnosis.about('transactions');
      expect(found).toMatchObject([
        {
          severity: 'warning',
          found: expect.stringMatching(
            /replication slot "left_behind", which is unused, holds back vacuum by \d{6} /,
          ) as unknown,
        },
      ]);
      for (const statement of sqlIn(found[0]?.remedy)) await database.query(statement);
      expect(await database.query('select slot_name from pg_replication_slots')).toEqual([]);
    });

    async function readOnStandby(): Promise<pg.Client> {
      const reader = new pg.Client(standbyUrl());
      await reader.connect();
      await reader.query('begin isolation level repeatable read; select 1');
      return reader;
    }

    /** Runs enough transactions to make the horizon that holds back vacuum old. */
    async function countUp(): Promise<void> {
      await database.query(`
        create or replace procedure count_up() language plpgsql as $$
        begin
          for n in 1 .. 100000 loop perform txid_current(); commit; end loop;
        end $$`);
      await database.query('call count_up()');
    }
  });
});
