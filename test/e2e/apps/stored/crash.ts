import pg from 'pg';
import { tell } from './messages.js';

/** The points of a claim at which a process can be killed. */
export const CRASH_POINTS = [
  'after the claim',
  'after a write',
  'before the commit',
  'during the commit',
] as const;
export type CrashPoint = (typeof CRASH_POINTS)[number];

/** Kills a process (SIGKILL) when it reaches the point for the `time`-th time. */
export interface Crash {
  readonly point: CrashPoint;
  readonly time: number;
}

const CLAIM = /for update skip locked/;
const COMPLETION = /pgpubsub_complete.*; commit$/;

type Query = (...args: unknown[]) => Promise<{ command: string; rows: unknown[] }[]>;

/** Kills this process at the configured point. */
export class CrashSimulator {
  private passed = 0;

  constructor(private readonly crash: Crash | undefined) {
    if (crash !== undefined) this.watch();
  }

  /** Reports that the process is at `point`. Never resolves when the process is killed there. */
  async reached(point: CrashPoint, during: () => void = () => undefined): Promise<void> {
    if (this.crash?.point !== point || ++this.passed !== this.crash.time) return;
    await new Promise<never>(() => {
      tell({ type: 'crashing', point }, () => {
        during();
        process.kill(process.pid, 'SIGKILL');
      });
    });
  }

  /** Replaces `query()` of pg, because the statements that are sent mark the points of a claim. */
  private watch(): void {
    const query = pg.Client.prototype.query as Query;
    const reached = this.reached.bind(this);
    async function watched(this: pg.Client, ...args: unknown[]): ReturnType<Query> {
      const send = () => query.apply(this, args);
      await reached('before the commit');
      await reached('during the commit', () => void send()); // sent, but the answer is not awaited
      return send();
    }
    async function watchedClaim(this: pg.Client, ...args: unknown[]): ReturnType<Query> {
      const results = await query.apply(this, args);
      const rows = results.find(({ command }) => command === 'SELECT')?.rows ?? [];
      if (rows.length > 0) await reached('after the claim');
      return results;
    }
    const replacement = function (this: pg.Client, ...args: unknown[]): unknown {
      const text = (args[0] as { text?: string } | undefined)?.text ?? '';
      if (COMPLETION.test(text)) return watched.apply(this, args);
      if (CLAIM.test(text) && text.startsWith('begin')) return watchedClaim.apply(this, args);
      return query.apply(this, args);
    };
    pg.Client.prototype.query = replacement as typeof pg.Client.prototype.query;
  }
}
