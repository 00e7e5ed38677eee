// @ts-check
import { drain } from '../drain.js';
import { measure } from '../measure.js';
import { graphileWorker, pgBoss, pgpubsub, typeormTransactions } from '../queues.js';

/**
 * A stored backlog, one process, and a listener that inserts a row for each notification, with one
 * statement each, or with one statement per batch. The reference is the best peer with a statement
 * each. graphile-worker cannot do the latter: its batch jobs are a single stored row with an array,
 * and a task never receives several rows.
 */
export default {
  title:
    'handling stored notifications with a listener that inserts a row for each, notifications per second',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const count = quick ? 5_000 : 20_000;
    /**
     * @param {string} name
     * @param {import('../queues.js').Queue} queue
     * @param {{ kind?: 'row' | 'rows', share?: number }} [options]
     */
    const variant = (name, queue, { kind = 'row', share = 1 } = {}) => ({
      name,
      run: () => drain(url, queue, Math.round(count * share), kind),
    });
    /** @param {object} listener */
    const withListener = (listener) => pgpubsub(url, { listener });
    return measure(
      [
        { ...variant('graphile-worker', graphileWorker(url)), isPeer: true },
        { ...variant('pg-boss, on a pool', pgBoss(url, { concurrent: 5 })), isPeer: true },
        { ...variant('pg-boss, transactional', pgBoss(url, { transactional: true })), isPeer: true },
        variant(
          'pg-boss, transactional, one insert for all',
          pgBoss(url, { transactional: true, batch: true }),
          { kind: 'rows' },
        ),
        variant('TypeORM transaction each, a tenth of the rows', typeormTransactions(url), { share: 0.1 }),
        variant('nestjs-pgpubsub', pgpubsub(url)),
        variant('nestjs-pgpubsub, concurrency: 50', withListener({ concurrency: 50 })),
        variant('nestjs-pgpubsub, batch: true', withListener({ batch: true }), { kind: 'rows' }),
      ],
      rounds,
    );
  },
};
