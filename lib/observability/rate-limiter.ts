/** How long repetitions of a line are counted instead of written. */
const WINDOW_MS = 10_000;

/** So many kinds are told apart at once; the rest is one: a loop may go through thousands of channels. */
const MAX_KINDS = 100;
const OTHERS = 'others';

type Write = (suppressed: number) => void;

interface Window {
  suppressed: number;
  /** Of the newest line: it has the newest numbers. */
  write: Write;
  readonly timer: NodeJS.Timeout;
}

/**
 * Lets the first line of a kind through at once and counts its repetitions, so that a loop cannot flood the log;
 * what was held back is said when the window ends. Owned by the logger, ends with `close()`.
 */
export class RateLimiter {
  private readonly windows = new Map<string, Window>();

  /** `write` gets how many lines of this kind were held back since the last one it wrote. */
  limit(kind: string, write: Write): void {
    const isKnown = this.windows.has(kind) || this.windows.size < MAX_KINDS;
    this.limitKind(isKnown ? kind : OTHERS, write);
  }

  close(): void {
    for (const { timer } of this.windows.values()) clearTimeout(timer);
    this.windows.clear();
  }

  private limitKind(kind: string, write: Write): void {
    const open = this.windows.get(kind);
    if (open) {
      open.suppressed++;
      open.write = write;
      return;
    }
    const timer = setTimeout(() => this.endWindow(kind), WINDOW_MS);
    timer.unref();
    this.windows.set(kind, { suppressed: 0, write, timer });
    write(0);
  }

  private endWindow(kind: string): void {
    const ended = this.windows.get(kind);
    this.windows.delete(kind);
    if (ended && ended.suppressed > 0) ended.write(ended.suppressed - 1); // it says the last of them itself
  }
}
