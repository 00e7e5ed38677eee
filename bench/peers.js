// @ts-check
/**
 * The settings of each system, and why. The peers say `node >= 22` in their package.json; these versions run on 20,
 * too, and are the newest that the benchmark could install when it was written.
 */

/** https://worker.graphile.org/docs/performance: the settings of its own figures, and what they were tried against. */
export const graphileWorker = {
  drain: {
    concurrentJobs: 24, // as in its own performance test
    maxPoolSize: 25, // one more than the jobs, as there
    localQueue: { size: 500 }, // as there: 500 jobs are fetched and locked by one statement
    completeJobBatchDelay: 0, // as there: jobs that end in the same tick are completed by one statement
    failJobBatchDelay: 0, // as there
  },
  latency: {
    concurrentJobs: 24,
    maxPoolSize: 25,
    // No local queue: jobs locked in it may wait (says its `index.d.ts`), and found by LISTEN there is little to fetch
    // ahead. No delayed completion: it takes load off the database, not time off the way to the task.
  },
  idle: {}, // its defaults, as ours: one job at a time, LISTEN and a poll every 2 s
  enqueue: { maxPoolSize: 10 }, // its default, as many connections as the others have
};

/** https://timgit.github.io/pg-boss and its `types.d.ts`, which says what each option is for. */
export const pgBoss = {
  instance: {
    max: 10, // connections; its default, as many as the others have
    supervise: false, // no monitoring and maintenance beside the measured work
    schedule: false, // no cron
  },
  queue: { deleteAfterSeconds: 0 }, // completed jobs stay (0: for ever), as by default for 7 days
  drain: {
    batchSize: 500, // jobs per fetch and per completion, its bulk setting
    localConcurrency: 2, // one worker's fetch overlaps the other's handler; more brought nothing on two cores
    burstWhenBatchFull: true, // fetches at once after a full batch instead of after the interval
    pollingIntervalSeconds: 0.5, // the least it allows
  },
  latency: {
    instance: { useListenNotify: true }, // wakes the worker at once instead of after the interval
    queue: { notify: true },
    work: {
      batchSize: 50, // what arrives during a fetch comes with the next; one by one it does not keep up with 200/s
      localConcurrency: 1, // each NOTIFY wakes every worker: more of them only fetch nothing
      burstWhenBatchFull: true,
      pollingIntervalSeconds: 0.5, // for what is missed when the notification arrives during a fetch
      notifyPollingIntervalSeconds: 0.5,
    },
  },
  idle: {
    instance: { useListenNotify: true }, // then its polls are as rare as ours; maintenance and cron stay on, as by default
    queue: { notify: true },
  },
};

/** https://github.com/porsager/postgres#connection-details; its client pipelines what is called at the same time. */
export const postgresJs = {
  max: 1, // connections: its notify() is a statement like any other, and more of them were slower here (two cores)
  onnotice: () => {}, // nothing on the console
};

/** https://github.com/andywer/pg-listen#readme */
export const pgListen = {
  paranoidChecking: /** @type {false} */ (false), // no query every 30 s beside the measured work
};

/** https://github.com/imqueue/pg-pubsub#options */
export const imqueue = {
  singleListener: false, // every process hears, as with the others; its locks cost more
};

/** What a team writes without a library: one worker loop, a TypeORM transaction for each message. */
export const typeorm = { poolSize: 10 };

/** nestjs-pgpubsub. */
export const ours = {
  poolSize: 10, // of the DataSource
  default: {},
  tuned: {
    batch: { maxSize: 500, maxTimeMs: 250 }, // rows per claim, the batch size of the peers above
    concurrency: 2, // claims at once: on two cores more only compete for them
  },
  resident: {
    synchronize: true, // creates its tables
    buffer: { maxSize: 100_000 }, // of the burst of 50,000 none may be dropped, as by default more than 10,000 are
  },
};
