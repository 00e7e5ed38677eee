/** How long repetitions of a line are counted instead of written. */
const WINDOW_MS = 10_000;

/** So many kinds are told apart at once; the rest is one: a loop may go through thousands of channels. */
const MAX_KINDS = 100;
const OTHERS = 'others';

/** Of a line that is written late. */
export interface Delay {
  /** So long ago it was to be written. */
  readonly ageMs: number;
  /** So many of its kind before it were not written at all. */
  readonly suppressed: number;
}

/** Without a delay the line is written at once. */
type Write = (delay?: Delay) => void;

/** What waits for the end of a window: its newest line, which has the newest numbers. */
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
 * Lets the first line of a kind through at once and counts its repetitions, so that a loop cannot flood the log;
 * what was held back is said when the window ends, and that opens the next one. Owned by the logger, ends with `close()`.
 */
export class RateLimiter {
  private readonly windows = new Map<string, Window>();
  private isClosed = false;

  limit(kind: string, write: Write): void {
    if (this.isClosed) return write(); // nobody would write it later
    const isKnown = this.windows.has(kind) || this.windows.size < MAX_KINDS;
    this.limitKind(isKnown ? kind : OTHERS, write);
  }

  /** Writes what is held back, without waiting. */
  flush(): void {
    const late = [...this.windows].filter(([, { held }]) => held !== undefined); // each opens another
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
