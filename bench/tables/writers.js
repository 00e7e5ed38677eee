// @ts-check
import { defineChannel } from 'nestjs-pgpubsub';
import { assert, measure, rateOf } from '../measure.js';
import { withClient } from '../queues.js';
import { startStoredApp } from '../stored-app.js';
import { assertEachOnce } from './latency-rate.js';
import { startReceiver } from './trigger.js';

const WRITERS = 32;

/** The notifications of either table: each variant uses one of them. */
const STORED = `select (payload ->> 'id')::int as id from bench_outbox
  union all select (payload ->> 'id')::int from pgpubsub_notification`;

/**
 * Transactions of concurrent writers, each with one row and one notification. PostgreSQL serializes
 * the commits of transactions that notify. The receiver gets the notifications afterwards, so that
 * only the writers are measured.
 */
export default {
  title: `${WRITERS} concurrent writers, one insert and one notification per transaction, transactions per second`,
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const count = quick ? 5_000 : 20_000;
    const hinting = await startStoredApp(url, { channel: 'bench_hinting', poolSize: WRITERS });
    const { dataSource, pubsub } = hinting;
    const polled = defineChannel('bench_polled', { delivery: 'exactly-once', wake: 'poll' });
    await withClient(url, (client) => client.query('drop table if exists bench_written, bench_outbox'));
    await dataSource.query('create table bench_written (id int not null, note text not null)');
    await dataSource.query(
      'create table bench_outbox (id bigint generated always as identity primary key, payload json)',
    );
    const receiver = await startReceiver(url, ['bench_writers']);
    /**
     * @param {string} name
     * @param {(manager: import('typeorm').EntityManager, payload: { id: number }) => Promise<unknown>} [notify]
     */
    const variant = (name, notify) => ({
      name,
      run: async () => {
        await dataSource.query('truncate bench_written, bench_outbox, pgpubsub_notification');
        await dataSource.query('checkpoint');
        await receiver.defer();
        const rate = await rateOf(count, WRITERS, (id) =>
          dataSource.transaction(async (manager) => {
            await manager.query('insert into bench_written (id, note) values ($1, $2)', [
              id,
              'ordinary text',
            ]);
            await notify?.(manager, { id });
          }),
        );
        const [{ rows }] = await dataSource.query(
          'select count(distinct id)::int as rows from bench_written',
        );
        assert(rows === count, `${rows} of ${count} written`);
        const sent = [...(await receiver.received()), ...(await dataSource.query(STORED))];
        if (notify !== undefined) assertIds(sent, count);
        else assert(sent.length === 0, `${sent.length} unexpected notifications`);
        return rate;
      },
    });
    const rows = await measure(
      [
        variant('no notification'),
        variant('handwritten: an outbox row, no NOTIFY', (manager, payload) =>
          manager.query('insert into bench_outbox (payload) values ($1)', [payload]),
        ),
        variant('handwritten: pg_notify', (manager, payload) =>
          manager.query('select pg_notify($1, $2)', ['bench_writers', JSON.stringify(payload)]),
        ),
        variant('nestjs-pgpubsub, broadcast', (manager, payload) =>
          pubsub.notify('bench_writers', payload, { manager }),
        ),
        variant("nestjs-pgpubsub, exactly once, wake: 'notify'", (manager, payload) =>
          pubsub.notify(hinting.channel, payload, { manager }),
        ),
        variant("nestjs-pgpubsub, exactly once, wake: 'poll'", (manager, payload) =>
          pubsub.notify(polled, payload, { manager }),
        ),
      ],
      rounds,
    );
    await dataSource.query('truncate pgpubsub_notification');
    await hinting.close();
    await receiver.close();
    return rows;
  },
};

/** @param {{ id: number }[]} sent @param {number} count */
function assertIds(sent, count) {
  const calls = new Uint8Array(count);
  for (const { id } of sent) calls[id]++;
  assertEachOnce(calls, sent.length);
}
