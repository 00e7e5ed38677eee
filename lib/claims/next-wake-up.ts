/** The next time at which a worker looks for rows by itself: the soonest of those it was asked for. */
export class NextWakeUp {
  private timer: NodeJS.Timeout | undefined;
  private at = Infinity;

  constructor(private readonly wake: () => void) {}

  /** A later time than one that is set already changes nothing. */
  in(delayMs: number): void {
    const at = performance.now() + delayMs;
    if (at >= this.at) return;
    clearTimeout(this.timer);
    this.at = at;
    this.timer = setTimeout(() => {
      this.at = Infinity;
      this.wake();
    }, delayMs);
  }

  clear(): void {
    clearTimeout(this.timer);
    this.at = Infinity;
  }
}
