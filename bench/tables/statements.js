// @ts-check
import pg from 'pg';
// not public: the statements that the library sends
import { storeNotification, storeNotifications } from '../../dist/publishing/publish.sql.js';
import { beginClaim, completeClaim } from '../../dist/claims/claim.sql.js';
import { assert, measure } from '../measure.js';
import { SEED, payloadOf } from '../queues.js';
import { startStoredApp } from '../stored-app.js';

const CHANNEL = 'bench_statements';
const SCHEMA = 'public';
const PAYLOAD = JSON.stringify(payloadOf(1));
/** The members of a claim's context that its SQL reads. */
const CONTEXT = {
  schema: SCHEMA,
  channel: CHANNEL,
  ordered: false,
  listeners: [{ name: 'Receiver.onNotification', filter: undefined }],
  filter: undefined,
  context: undefined,
  deadPeerTimeoutMs: 30_000,
  heldBack: new Map(),
  platform: { isKnown: true, hasUserTimeout: true, hasKeepAlives: true },
};

/**
 * The times of the single statements of a stored notification, with their round trip, on one
 * connection. Commits do not wait for the disk, because this would hide all other times.
 */
export default {
  title:
    'single statements of stored notifications, microseconds without the wait for the disk (lower is better)',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const count = quick ? 300 : 2_000;
    const app = await startStoredApp(url, { channel: CHANNEL }); // creates the tables
    await app.close();
    const client = new pg.Client(url);
    await client.connect();
    await client.query('set synchronous_commit = off');
    await client.query(
      'create table if not exists bench_outbox_row (id bigint generated always as identity primary key, payload json)',
    );

    /** @param {string} name @param {string} sql @param {unknown[]} values @param {number} [rows] stored by each */
    const statement = (name, sql, values, rows = 1) => ({
      name,
      run: async () => {
        await client.query('truncate pgpubsub_notification, bench_outbox_row');
        const microseconds = await microsecondsOf(count, () => client.query(sql, values));
        const result = await client.query(COUNT_STORED);
        const { stored } = result.rows[0];
        assert(stored === count * rows, `${stored} of ${count * rows} rows stored`);
        return microseconds;
      },
    });
    /** @param {string} name @param {number} size @param {'claim' | 'complete'} part */
    const claim = (name, size, part) => ({
      name,
      run: () => claimed(client, Math.ceil(count / size), size, part),
    });
    const one = [CHANNEL, PAYLOAD];
    const rows = await measure(
      [
        statement('nothing: select $1', 'select $1::text', [PAYLOAD], 0),
        statement(
          'handwritten: a row with an identity and a payload',
          'insert into bench_outbox_row (payload) values ($1)',
          [PAYLOAD],
        ),
        statement("store one, wake: 'poll'", storeNotification(SCHEMA, [], false), one),
        statement("store one, wake: 'notify'", storeNotification(SCHEMA, [], true), one),
        statement('store one by the statement for many', storeNotifications(SCHEMA), [
          [CHANNEL],
          `\u0001${PAYLOAD}`,
          null,
          null,
          null,
          null,
          [CHANNEL],
        ]),
        claim('claim one', 1, 'claim'),
        claim('complete one', 1, 'complete'),
        claim('claim 100', 100, 'claim'),
        claim('complete 100', 100, 'complete'),
      ],
      rounds,
      { lowerIsBetter: true },
    );
    await client.query('truncate pgpubsub_notification');
    await client.end();
    return rows;
  },
};

const COUNT_STORED = `select (select count(*) from pgpubsub_notification)::int
  + (select count(*) from bench_outbox_row)::int as stored`;

/** @param {number} count @param {() => Promise<unknown>} operation */
async function microsecondsOf(count, operation) {
  const began = performance.now();
  for (let index = 0; index < count; index++) await operation();
  return ((performance.now() - began) / count) * 1_000;
}

/** @param {pg.Client} client @param {number} claims @param {number} size @param {'claim' | 'complete'} part the measured one */
async function claimed(client, claims, size, part) {
  await client.query('truncate pgpubsub_notification');
  let elapsed = 0;
  for (let index = 0; index < claims; index++) {
    await client.query(SEED, [CHANNEL, 1, size]);
    const began = performance.now();
    const results = /** @type {any} */ (
      await client.query(beginClaim(/** @type {any} */ (CONTEXT), { size }))
    );
    const between = performance.now();
    const ids = results.flatMap((/** @type {any} */ { rows, fields }) =>
      fields?.[0]?.name !== 'id' ? [] : rows.map((/** @type {any} */ { id }) => id),
    );
    await client.query(completeClaim(SCHEMA, ids));
    elapsed += part === 'claim' ? between - began : performance.now() - between;
    assert(ids.length === size, `${ids.length} of ${size} rows claimed`);
  }
  return (elapsed / claims) * 1_000;
}
