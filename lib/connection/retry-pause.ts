/** The shortest time between the ends of two shortened pauses: attempts must not be continuous. */
const SHORTENED_EVERY_MS = 1_000;

/**
 * The pause between two attempts to open the LISTEN connection. Owned by `Reconnector`; ends after
 * its time, by `shorten()`, or with the application.
 */
export class RetryPause {
  private finish: (() => void) | undefined;
  private timer: NodeJS.Timeout | undefined;
  private endsMs = -Infinity;
  private lastShortenedMs = -Infinity;

  constructor(private readonly stopped: AbortSignal) {}

  /** Resolves after `ms` or earlier. Keeps the process alive: a worker may have no other handle. */
  async wait(ms: number): Promise<void> {
    if (this.stopped.aborted) return;
    await new Promise<void>((resolve) => {
      this.finish = resolve;
      this.endAfter(ms);
      this.stopped.addEventListener('abort', this.finish);
    });
    clearTimeout(this.timer);
    if (this.finish) this.stopped.removeEventListener('abort', this.finish);
    this.finish = undefined;
  }

  /**
   * Ends the current pause: at once, or one second after the end of the last one that was
   * shortened. Does nothing without a pause.
   */
  shorten(): void {
    const now = performance.now();
    const endMs = Math.max(now, this.lastShortenedMs + SHORTENED_EVERY_MS);
    if (this.finish === undefined || endMs >= this.endsMs) return;
    this.lastShortenedMs = endMs;
    this.endAfter(endMs - now);
  }

  private endAfter(ms: number): void {
    clearTimeout(this.timer);
    this.endsMs = performance.now() + ms;
    this.timer = setTimeout(() => this.finish?.(), ms);
  }
}
