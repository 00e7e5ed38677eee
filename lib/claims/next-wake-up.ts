/** Wakes a worker at the soonest of the requested times. Owned by its user; holds one timer. */
export class NextWakeUp {
  private timer: NodeJS.Timeout | undefined;
  private at = Infinity;

  constructor(private readonly wake: () => void) {}

  /** Sets the timer, unless it is set to an earlier time. */
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
