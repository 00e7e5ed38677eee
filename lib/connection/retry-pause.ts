/**
 * The shortest time between the ends of two shortened pauses: attempts that fail must not follow
 * without pause.
 */
const SHORTENED_EVERY_MS = 1_000;

/**
 * The pause between two attempts to open the LISTEN connection. Owned by `ListenConnection`; ends
 * by itself, by `shorten()`, or with the application.
 */
export class RetryPause {
  private finish: (() => void) | undefined;
  private timer: NodeJS.Timeout | undefined;
  private endsMs = -Infinity;
  private lastShortenedMs = -Infinity;

  constructor(private readonly stopped: AbortSignal) {}

  /**
   * Resolves after `ms` or earlier. Keeps the process alive: without a server, a worker may have
   * nothing else that does.
   */
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
   * Ends the present pause: at once, or a second after the last one that was shortened. Does
   * nothing without a pause.
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
