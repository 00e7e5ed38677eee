/** The time in which repetitions of a line are counted instead of written. */
const WINDOW_MS = 10_000;

/** The number of kinds that are limited separately; all others count as one kind. */
const MAX_KINDS = 100;
const OTHERS = 'others';

/** Passed for a line that is written late. */
export interface Delay {
  /** The time since the line was reported. */
  readonly ageMs: number;
  /** The number of earlier lines of its kind that are never written. */
  readonly suppressed: number;
}

type Write = (delay?: Delay) => void;

/** The newest line of a window, which has the newest numbers; written when the window ends. */
interface Held {
  readonly write: Write;
  readonly at: number;
  readonly suppressed: number;
}

interface Window {
  held: Held | undefined;
  readonly timer: NodeJS.Timeout;
}

/**
 * Writes the first line of a kind immediately and counts its repetitions, so that a loop cannot
 * flood the log. The newest repetition is written when the window ends, which opens the next
 * window. Owned by the logger; ends with `close()`.
 */
export class RateLimiter {
  private readonly windows = new Map<string, Window>();
  private isClosed = false;

  limit(kind: string, write: Write): void {
    if (this.isClosed) return write(); // no timer would write it later
    const isKnown = this.windows.has(kind) || this.windows.size < MAX_KINDS;
    this.limitKind(isKnown ? kind : OTHERS, write);
  }

  /** Writes the held lines without waiting for the end of their windows. */
  flush(): void {
    const late = [...this.windows].filter(([, { held }]) => held !== undefined); // a copy: ending a window opens another
    for (const [kind] of late) this.endWindow(kind);
  }

  close(): void {
    this.isClosed = true;
    this.flush();
    for (const { timer } of this.windows.values()) clearTimeout(timer);
    this.windows.clear();
  }

  private limitKind(kind: string, write: Write): void {
    const open = this.windows.get(kind);
    if (open) {
      const suppressed = open.held === undefined ? 0 : open.held.suppressed + 1;
      open.held = { write, at: performance.now(), suppressed };
      return;
    }
    this.openWindow(kind);
    write();
  }

  private openWindow(kind: string): void {
    const timer = setTimeout(() => this.endWindow(kind), WINDOW_MS);
    timer.unref();
    this.windows.set(kind, { held: undefined, timer });
  }

  private endWindow(kind: string): void {
    const ended = this.windows.get(kind);
    this.windows.delete(kind);
    clearTimeout(ended?.timer);
    if (!ended?.held) return;
    const { write, at, suppressed } = ended.held;
    this.openWindow(kind);
    write({ ageMs: performance.now() - at, suppressed });
  }
}
