// @ts-check
import { drain } from '../drain.js';
import { measure } from '../measure.js';
import { graphileWorker, pgBoss, pgpubsub, typeormTransactions } from '../queues.js';

/**
 * What is stored already, one process, a listener that inserts a row for each: with a statement each, or, where the
 * listener gets many at once, with one for all of them. The reference is the best peer with a statement each.
 * graphile-worker has no row of the second kind: its batch jobs are one stored row with an array, filled by whoever
 * stores it, and several rows are never handed to one task.
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
