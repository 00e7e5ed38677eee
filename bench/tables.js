// @ts-check
/** All tables by their name for `--only`, in the order in which they run. */
import { backlog, horizon } from './tables/backlog.js';
import drain from './tables/drain.js';
import drainInsert from './tables/drain-insert.js';
import enqueue, { bulk } from './tables/enqueue.js';
import { burst, idle } from './tables/footprint.js';
import hydrate from './tables/hydrate.js';
import latency from './tables/latency.js';
import latencyRate from './tables/latency-rate.js';
import observers from './tables/observers.js';
import processes from './tables/processes.js';
import { publish, publishInTransaction } from './tables/publish.js';
import receive from './tables/receive.js';
import statements from './tables/statements.js';
import storeTrigger from './tables/store-trigger.js';
import storedIdle from './tables/stored-idle.js';
import storedLatency from './tables/stored-latency.js';
import { trigger, triggerSingle } from './tables/trigger.js';
import writers from './tables/writers.js';

/** @typedef {{ url: string, rounds: number, quick: boolean }} Options */
/** @typedef {{ title: string, run: (options: Options) => Promise<import('./measure.js').Row[]> }} Table */

/** @type {Record<string, Table>} */
export const tables = {
  'publish-1': publish(1, 5_000),
  'publish-10': publish(10, 20_000),
  publish: publish(100, 50_000),
  'publish-transaction': publishInTransaction,
  receive,
  latency,
  'latency-100': latencyRate(100),
  'latency-1000': latencyRate(1_000),
  observers,
  trigger,
  'trigger-single': triggerSingle,
  'store-trigger': storeTrigger(100_000),
  'store-trigger-10k': storeTrigger(10_000),
  hydrate,
  drain,
  'drain-insert': drainInsert,
  enqueue,
  'enqueue-bulk': bulk,
  statements,
  'stored-latency': storedLatency,
  'stored-idle': storedIdle,
  backlog,
  horizon,
  processes,
  writers,
  idle,
  burst,
};
