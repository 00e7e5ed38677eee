import { Progress } from './progress.js';

/** Receives the progress of a process that handles the backlog. */
export interface BacklogWatcher {
  /** Called with the number of due notifications before the first is handled. */
  found(count: number): void;
  /** Called after each committed claim. */
  advanced(handled: number, failed: number): void;
  /** Called when nothing claimable is left. */
  done(): void;
}

export interface BacklogReportOptions {
  /** The number of processes; the backlog is done when all of them report it. */
  readonly processes: number;
  readonly writeLine: (line: string) => void;
  readonly terminal: NodeJS.WriteStream | undefined;
}

/** Reports the progress of the backlog, and at the end the totals. Owned by the command. */
export class BacklogReport implements BacklogWatcher {
  private progress: Progress | undefined;
  private readonly total = { handled: 0, failed: 0 };
  private finished = 0;

  constructor(private readonly options: BacklogReportOptions) {}

  get hasFailures(): boolean {
    return this.total.failed > 0;
  }

  /** The count of the first process is the total; later processes count what remains. */
  found(total: number): void {
    this.progress ??= new Progress({ ...this.options, what: 'stored notifications', total });
  }

  advanced(handled: number, failed: number): void {
    this.total.handled += handled;
    this.total.failed += failed;
    this.progress?.advance(handled + failed);
  }

  done(): void {
    if (++this.finished === this.options.processes) this.end();
  }

  /** Called before a log line is written. */
  clearLine(): void {
    this.progress?.clearLine();
  }

  /** Also called when a process has to stop before the backlog is done. */
  end(): void {
    if (this.progress === undefined) return;
    this.progress.end();
    this.progress = undefined;
    this.options.writeLine(renderTotals(this.total));
  }
}

export function renderTotals({
  handled,
  failed,
}: {
  readonly handled: number;
  readonly failed: number;
}): string {
  if (handled + failed === 0) return 'No stored notifications to handle';
  const failures = failed === 0 ? '' : `, ${failed} failed and will be retried or are dead letters`;
  return `Handled ${handled} stored notification${handled === 1 ? '' : 's'}${failures}`;
}
