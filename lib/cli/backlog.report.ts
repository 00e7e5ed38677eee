import { Progress } from './progress.js';

/** Who looks on while a process handles what had been stored. */
export interface BacklogWatcher {
  /** So many are due, before the first is handled. */
  found(count: number): void;
  /** A claim has been committed. */
  advanced(handled: number, failed: number): void;
  /** Nothing that can be claimed is left. */
  done(): void;
}

export interface BacklogReportOptions {
  /** So many processes work on it: it is done when all of them say so. */
  readonly processes: number;
  readonly writeLine: (line: string) => void;
  readonly terminal: NodeJS.WriteStream | undefined;
}

/** Tells how the backlog dwindles, and in the end what has become of it. Owned by the command. */
export class BacklogReport implements BacklogWatcher {
  private progress: Progress | undefined;
  private readonly total = { handled: 0, failed: 0 };
  private finished = 0;

  constructor(private readonly options: BacklogReportOptions) {}

  get hasFailures(): boolean {
    return this.total.failed > 0;
  }

  /** The first to look counts: the others find what it has left. */
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

  /** A line of a log is about to be written. */
  clearLine(): void {
    this.progress?.clearLine();
  }

  /** Also of a backlog that is left as it is, because the process has to end. */
  end(): void {
    if (this.progress === undefined) return;
    this.progress.end();
    this.progress = undefined;
    this.options.writeLine(renderTotals(this.total));
  }
}

/** What has become of stored notifications, in a line. */
export function renderTotals({
  handled,
  failed,
}: {
  readonly handled: number;
  readonly failed: number;
}): string {
  if (handled + failed === 0) return 'No stored notification had to be handled';
  const failures = failed === 0 ? '' : `, ${failed} failed: they are tried again, or dead letters`;
  return `Handled ${handled} stored notification${handled === 1 ? '' : 's'}${failures}`;
}
