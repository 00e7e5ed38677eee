// @ts-check
import pg from 'pg';

/** @typedef {{ handled: (id: number) => void, committed: () => void }} Observer */
/** @typedef {{ send: (id: number) => Promise<unknown>, close: () => Promise<void> }} System */

/**
 * Starts the minimum of an exactly-once queue: one client stores and notifies, one receives the
 * notifications, one locks, deletes and commits in two round trips. There are no retries and no
 * named listeners, only one queue and a payload, so that the result is the time of PostgreSQL.
 * @param {string} url
 * @param {Observer} observer
 * @returns {Promise<System>}
 */
export async function startBare(url, { handled, committed }) {
  const [sender, listener, worker] = [new pg.Client(url), new pg.Client(url), new pg.Client(url)];
  await Promise.all([sender.connect(), listener.connect(), worker.connect()]);
  await sender.query(
    'create table if not exists bench_bare_message (id bigint generated always as identity primary key, payload json)',
  );
  const work = async () => {
    const results = /** @type {any} */ (
      await worker.query(
        'begin; select id, payload from bench_bare_message order by id limit 1 for update skip locked',
      )
    );
    const [{ id, payload }] = results[1].rows;
    handled(payload.id);
    await worker.query(`delete from bench_bare_message where id = ${id}; commit`);
    committed();
  };
  let working = Promise.resolve();
  listener.on('notification', () => {
    working = working.then(work);
  });
  await listener.query('listen bench_bare_message');
  return {
    send: (id) =>
      sender.query(
        `with stored as (insert into bench_bare_message (payload) values ($1)) select pg_notify('bench_bare_message', '')`,
        [{ id }],
      ),
    close: async () => {
      await working;
      await Promise.all([sender.end(), listener.end(), worker.end()]);
    },
  };
}
