type Grant = () => void;

/**
 * How many claims a process works on at once: each holds a connection of the application's pool. First come, first
 * served; one channel may not hold the last slot when there are others, so that a handler that hangs leaves them one.
 */
export class ClaimSlots {
  private readonly held = new Map<object, number>();
  private readonly waiting: { readonly owner: object; readonly grant: Grant }[] = [];
  private taken = 0;

  constructor(
    private readonly total: number,
    private readonly owners: () => number,
  ) {}

  /** How many one owner may hold. */
  get share(): number {
    return this.owners() > 1 && this.total > 1 ? this.total - 1 : this.total;
  }

  /** Resolves with the function that gives the slot back. */
  async acquire(owner: object): Promise<Grant> {
    if (!this.isFree(owner)) await new Promise<void>((grant) => this.waiting.push({ owner, grant }));
    else this.take(owner);
    return () => this.release(owner);
  }

  private isFree(owner: object): boolean {
    return this.taken < this.total && (this.held.get(owner) ?? 0) < this.share;
  }

  private take(owner: object): void {
    this.taken++;
    this.held.set(owner, (this.held.get(owner) ?? 0) + 1);
  }

  private release(owner: object): void {
    this.taken--;
    this.held.set(owner, (this.held.get(owner) ?? 0) - 1);
    const next = this.waiting.findIndex((waiter) => this.isFree(waiter.owner));
    const [waiter] = next < 0 ? [] : this.waiting.splice(next, 1);
    if (waiter === undefined) return;
    this.take(waiter.owner);
    waiter.grant();
  }
}
