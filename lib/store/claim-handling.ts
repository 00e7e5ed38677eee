import type { Report } from '../common/facts.js';
import { isRefusal } from '../common/refusal.js';
import type { RowOutcome } from './claim-outcome.js';
import type { ClaimPace } from './claim-pace.js';
import { ClaimRun, type ClaimHost } from './claim-run.js';
import type { ClaimSession } from './claim-session.js';
import { beginClaimOf, countDeaths, type ClaimScope } from './claim.sql.js';
import type { StoredRow } from './stored-row.js';

export interface ClaimHandlingOptions {
  readonly host: ClaimHost;
  readonly scope: ClaimScope;
  readonly pace: ClaimPace;
  readonly report: Report;
}

export interface DrainCount {
  handled: number;
  failed: number;
}

interface Separated {
  readonly together: readonly StoredRow[];
  readonly alone: readonly StoredRow[];
}

/**
 * What becomes of the rows of a claim: those that have never done harm are handled together, the others alone, each to
 * its commit. Owned by the channel's worker, which decides when there is a claim.
 */
export class ClaimHandling {
  /** What has been done since the start. */
  readonly count: DrainCount = { handled: 0, failed: 0 };

  constructor(private readonly options: ClaimHandlingOptions) {}

  /** Is there certainly more? The claim began at that time. */
  async handle(session: ClaimSession, rows: readonly StoredRow[], began: number): Promise<boolean> {
    const { together, alone } = await this.separate(session, rows);
    const outcomes = await this.handleTogether(session, together, began);
    for (const { id } of alone) if (!this.options.host.isEnding()) await this.handleAlone(session, id);
    return outcomes.length < together.length || alone.length > 0 || this.options.scope.ordered;
  }

  /**
   * Rows whose claim has ended without a word before are handled alone, where they can harm no other: those it has
   * happened to most come last. Each such end is counted with this claim, before they are handled again: a row must not
   * take down processes for ever.
   */
  private async separate(session: ClaimSession, rows: readonly StoredRow[]): Promise<Separated> {
    const suspects = await session.findSuspects(rows);
    if (suspects.size > 0) await session.query(countDeaths(this.options.scope.schema), [[...suspects]]);
    for (const { id, deaths } of rows)
      if (suspects.has(id))
        this.options.report({
          type: 'interrupted',
          channel: this.options.host.channel,
          id,
          deaths: deaths + 1,
        });
    const deathsOf = ({ id, deaths }: StoredRow) => deaths + (suspects.has(id) ? 1 : 0);
    const alone = rows.filter((row) => deathsOf(row) > 0);
    return {
      together: alone.length === 0 ? rows : rows.filter((row) => deathsOf(row) === 0),
      alone: alone.toSorted((a, b) => deathsOf(a) - deathsOf(b)),
    };
  }

  private async handleTogether(
    session: ClaimSession,
    rows: readonly StoredRow[],
    claimBegan: number,
  ): Promise<readonly RowOutcome[]> {
    const began = performance.now();
    const run = new ClaimRun(this.options.host, session, rows);
    const outcomes = await run.run();
    this.options.pace.handled(outcomes.length, performance.now() - began, run.handlingMs);
    this.reportOutcomes(outcomes, rows.length, claimBegan);
    return outcomes;
  }

  private async handleAlone(session: ClaimSession, id: string): Promise<void> {
    const { host, scope } = this.options;
    const began = performance.now();
    const rows = await session.claim(beginClaimOf(scope, id), scope.ordered);
    const run = new ClaimRun(host, session, rows);
    const maxAttempts = Math.min(...host.listeners.map(({ retry }) => retry.maxAttempts));
    const isHopeless = rows.some(({ deaths }) => deaths >= Math.max(maxAttempts, 2)); // the first may have been another's
    try {
      const outcomes = isHopeless ? await run.buryAll(neverEnded) : await run.run();
      this.reportOutcomes(outcomes, rows.length, began);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      await session.query('rollback', []);
      await this.failCommit(session, id, error);
    }
  }

  /** The server has refused to commit what the listeners have done to this one row: they have failed, all of them. */
  private async failCommit(session: ClaimSession, id: string, error: unknown): Promise<void> {
    const { host, scope } = this.options;
    const began = performance.now();
    const rows = await session.claim(beginClaimOf(scope, id), scope.ordered);
    const outcomes = await new ClaimRun(host, session, rows).failAll(error);
    this.reportOutcomes(outcomes, rows.length, began);
  }

  private reportOutcomes(outcomes: readonly RowOutcome[], size: number, began: number): void {
    if (size === 0) return;
    const { options } = this;
    const { channel, listeners } = options.host;
    let failed = 0;
    for (const { row, failures } of outcomes) {
      if (failures.length > 0) failed++;
      for (const failure of failures)
        options.report({ type: 'stored-failed', channel, id: row.id, ...failure });
    }
    this.count.failed += failed;
    this.count.handled += outcomes.length - failed;
    for (const { name: listener } of listeners) {
      const count = outcomes.filter((outcome) => outcome.wasHandledBy(listener)).length;
      if (count > 0) options.report({ type: 'handled', channel, listener, count });
    }
    const durationMs = performance.now() - began;
    options.report({ type: 'claimed', channel, size, handled: outcomes.length - failed, failed, durationMs });
  }
}

const neverEnded = ({ deaths }: StoredRow) =>
  new Error(
    `expected its handlers to end, but ${deaths} times the process or its connection ended while they ran`,
  );
