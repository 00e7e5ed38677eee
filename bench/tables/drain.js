// @ts-check
import { drain } from '../drain.js';
import { measure } from '../measure.js';
import { ours } from '../peers.js';
import { graphileWorker, pgBoss, pgpubsub, typeormTransactions } from '../queues.js';

export default {
  title: 'handling stored notifications with a listener that writes nothing, notifications per second',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const count = quick ? 10_000 : 20_000;
    /** @param {string} name @param {import('../queues.js').Queue} queue @param {number} [less] */
    const variant = (name, queue, less = 1) => ({
      name,
      run: () => drain(url, queue, Math.round(count * less), 'nothing'),
    });
    return measure(
      [
        { ...variant('graphile-worker', graphileWorker(url)), isPeer: true },
        { ...variant('pg-boss', pgBoss(url)), isPeer: true },
        variant('TypeORM transaction each, a tenth of the rows', typeormTransactions(url), 0.1),
        variant('nestjs-pgpubsub', pgpubsub(url)),
        variant('nestjs-pgpubsub, tuned', pgpubsub(url, { module: ours.tuned })),
      ],
      rounds,
    );
  },
};
