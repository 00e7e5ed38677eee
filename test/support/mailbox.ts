/** The limit for an expected event; it is long because a machine may stall. */
const DEADLINE_MS = 60_000;

/** Collects events, and lets a test wait for them with a deadline instead of a guess. */
export class Mailbox<T> {
  readonly all: T[] = [];
  private read = 0;
  private readonly wakeUps = new Set<() => void>();

  readonly push = (item: T): void => {
    this.all.push(item);
    for (const wakeUp of this.wakeUps) wakeUp();
  };

  /** The next item that has not been taken yet. */
  async next(): Promise<T> {
    await this.until(() => this.all.length > this.read, 'another item');
    return this.all[this.read++] as T;
  }

  /** The next items, in order. */
  async take(count: number): Promise<T[]> {
    await this.until(() => this.all.length >= this.read + count, `${count} more items`);
    this.read += count;
    return this.all.slice(this.read - count, this.read);
  }

  /** The first item, taken or not, for which `matches` holds. */
  async find(matches: (item: T) => boolean): Promise<T> {
    await this.until(() => this.all.some(matches), 'a matching item');
    return this.all.find(matches) as T;
  }

  get untaken(): readonly T[] {
    return this.all.slice(this.read);
  }

  private async until(holds: () => boolean, what: string): Promise<void> {
    if (holds()) return;
    await new Promise<void>((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        this.wakeUps.delete(wakeUp);
        settle();
      };
      const wakeUp = () => holds() && finish(resolve);
      const late = () =>
        finish(() =>
          reject(new Error(`waited ${DEADLINE_MS} ms for ${what}, got ${this.all.length} in all`)),
        );
      const timer = setTimeout(late, DEADLINE_MS);
      this.wakeUps.add(wakeUp);
    });
  }
}

/**
 * Resolves when `check` is true, and repeats it every 20 ms, for conditions that only the database
 * knows.
 */
export async function eventually(
  check: () => Promise<boolean> | boolean,
  what: string,
  withinMs = DEADLINE_MS,
): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`waited ${withinMs} ms until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
