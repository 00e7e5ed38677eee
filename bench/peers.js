// @ts-check
/**
 * The settings of each system, with their reasons. The peers require `node >= 22` in their
 * package.json, but these versions also run on 20. They are the newest ones that the benchmark
 * could install when it was written.
 */

/** https://worker.graphile.org/docs/performance: the settings of its own figures. */
export const graphileWorker = {
  drain: {
    concurrentJobs: 24, // as in its own performance test
    maxPoolSize: 25, // one more than the jobs, as in that test
    localQueue: { size: 500 }, // as in that test: one statement fetches and locks 500 jobs
    completeJobBatchDelay: 0, // as in that test: one statement completes the jobs of a tick
    failJobBatchDelay: 0, // as in that test
  },
  latency: {
    concurrentJobs: 24,
    maxPoolSize: 25,
    // Without a local queue: jobs in it may wait (see its `index.d.ts`), and with LISTEN there is
    // little to prefetch. Without delayed completion, which reduces the load, not the latency.
  },
  idle: {}, // its defaults: one job at a time, LISTEN and a poll every 2 s
  enqueue: { maxPoolSize: 10 }, // its default, the same number of connections as the others
};

/** https://timgit.github.io/pg-boss and its `types.d.ts`, which explains each option. */
export const pgBoss = {
  instance: {
    max: 10, // connections; its default, the same number as the others
    supervise: false, // no monitoring and maintenance during the measured work
    schedule: false, // no cron
  },
  queue: { deleteAfterSeconds: 0 }, // keeps completed jobs (0: indefinitely), as the default does for 7 days
  drain: {
    batchSize: 500, // jobs per fetch and per completion: its bulk setting
    localConcurrency: 2, // one worker fetches while the other handles; more did not help on two cores
    burstWhenBatchFull: true, // fetches immediately after a full batch
    pollingIntervalSeconds: 0.5, // its minimum
  },
  latency: {
    instance: { useListenNotify: true }, // wakes the worker immediately
    queue: { notify: true },
    work: {
      batchSize: 50, // fetches what arrived meanwhile; single jobs cannot keep up with 200/s
      localConcurrency: 1, // each NOTIFY wakes all workers: more of them would fetch nothing
      burstWhenBatchFull: true,
      pollingIntervalSeconds: 0.5, // for jobs whose notification arrives during a fetch
      notifyPollingIntervalSeconds: 0.5,
    },
  },
  idle: {
    instance: { useListenNotify: true }, // makes polls rare; maintenance and cron run, as by default
    queue: { notify: true },
  },
};

/** https://github.com/porsager/postgres#connection-details: the client pipelines calls. */
export const postgresJs = {
  max: 1, // connections; more of them were slower (two cores)
  onnotice: () => {}, // prints nothing
};

/** https://github.com/andywer/pg-listen#readme */
export const pgListen = {
  paranoidChecking: /** @type {false} */ (false), // no query every 30 s
};

/** https://github.com/imqueue/pg-pubsub#options */
export const imqueue = {
  singleListener: false, // every process receives, as with the others; its locks cost more
};

/** Code without a library: one worker loop, and a TypeORM transaction for each row. */
export const typeorm = { poolSize: 10 };

export const ours = {
  poolSize: 10, // connections of the DataSource
  default: {},
  tuned: {
    batch: { maxSize: 500, maxTimeMs: 250 }, // rows per claim: the batch size of the peers
    concurrency: 2, // concurrent claims: more of them only compete for two cores
  },
  resident: {
    synchronize: true, // creates the tables
    buffer: { maxSize: 100_000 }, // holds the burst of 50,000; the default, 10,000, would drop some
  },
};
