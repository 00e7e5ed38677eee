import pg from 'pg';
import { tell } from './messages.js';

/** Where in the life of a claim a process can be killed. */
export const MOMENTS = [
  'after the claim',
  'after a write',
  'before the commit',
  'during the commit',
] as const;
export type Moment = (typeof MOMENTS)[number];

/** A process is killed (SIGKILL) the so-manieth time it gets to the moment. */
export interface Death {
  readonly moment: Moment;
  readonly time: number;
}

const CLAIM = /for update skip locked/;
const COMPLETION = /pgpubsub_complete.*; commit$/;

type Query = (...args: unknown[]) => Promise<{ command: string; rows: unknown[] }[]>;

/** Kills this process at the moment it is to die. */
export class Executioner {
  private passed = 0;

  constructor(private readonly death: Death | undefined) {
    if (death !== undefined) this.watch();
  }

  /** The moment has come; does not return if it is the one. */
  async reached(moment: Moment, during: () => void = () => undefined): Promise<void> {
    if (this.death?.moment !== moment || ++this.passed !== this.death.time) return;
    await new Promise<never>(() => {
      tell({ type: 'dying', moment }, () => {
        during();
        process.kill(process.pid, 'SIGKILL');
      });
    });
  }

  /** Looks at what pg is given to send: that is what the moments of a claim are in the database. */
  private watch(): void {
    const query = pg.Client.prototype.query as Query;
    const reached = this.reached.bind(this);
    async function watched(this: pg.Client, ...args: unknown[]): ReturnType<Query> {
      const send = () => query.apply(this, args);
      await reached('before the commit');
      await reached('during the commit', () => void send()); // it is on its way, nobody waits for the answer
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
