type Release = () => void;

interface Waiter {
  readonly owner: object;
  readonly grant: () => void;
}

/**
 * Limits the number of concurrent claims of a process: each holds a connection of the application's
 * pool. Channels take turns: a free slot goes to the waiting channel whose last turn is the longest
 * ago. (Turns by the age of the oldest rows would all go to a channel with an old backlog.) One
 * channel may not hold the last slot if there are others, so that a hanging handler leaves them
 * one.
 */
export class Semaphore {
  private readonly held = new Map<object, number>();
  private readonly lastTurns = new Map<object, number>();
  private readonly waiting: Waiter[] = [];
  private taken = 0;
  private turns = 0;

  constructor(
    private readonly total: number,
    private readonly owners: () => number,
  ) {}

  /** The number of slots that one owner may hold. */
  get share(): number {
    return this.owners() > 1 && this.total > 1 ? this.total - 1 : this.total;
  }

  /** Whether another owner waits for a slot, which a holder should release after its claim. */
  isWantedByOthers(owner: object): boolean {
    return this.waiting.some((waiter) => waiter.owner !== owner && this.heldBy(waiter.owner) < this.share);
  }

  /** Resolves with the function that releases the slot. */
  async acquire(owner: object): Promise<Release> {
    if (this.isFree(owner) && this.waiting.length === 0) this.take(owner);
    else
      await new Promise<void>((grant) => {
        this.waiting.push({ owner, grant });
        this.grantNext(); // all waiting owners may hold their share
      });
    let isHeld = true;
    return () => {
      if (isHeld) this.release(owner);
      isHeld = false;
    };
  }

  private isFree(owner: object): boolean {
    return this.taken < this.total && this.heldBy(owner) < this.share;
  }

  private heldBy(owner: object): number {
    return this.held.get(owner) ?? 0;
  }

  private take(owner: object): void {
    this.taken++;
    this.held.set(owner, this.heldBy(owner) + 1);
    this.lastTurns.set(owner, ++this.turns);
  }

  private release(owner: object): void {
    this.taken--;
    this.held.set(owner, this.heldBy(owner) - 1);
    this.grantNext();
  }

  private grantNext(): void {
    const turnOf = ({ owner }: Waiter) => this.lastTurns.get(owner) ?? 0;
    const free = this.waiting.filter(({ owner }) => this.isFree(owner));
    const [first, ...rest] = free;
    if (first === undefined) return;
    const next = rest.reduce((best, waiter) => (turnOf(waiter) < turnOf(best) ? waiter : best), first);
    this.waiting.splice(this.waiting.indexOf(next), 1);
    this.take(next.owner);
    next.grant();
  }
}
