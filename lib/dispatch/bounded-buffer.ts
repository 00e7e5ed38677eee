import type { BufferLimits } from '../common/overflow.js';

/**
 * What waits for one slow receiver: first in, first out, never more than `maxSize`. What to do about a drop is
 * its owner's business.
 */
export class BoundedBuffer<T> {
  private items: T[] = [];
  private head = 0;

  constructor(private readonly limits: BufferLimits) {}

  get size(): number {
    return this.items.length - this.head;
  }

  /**
   * `false` when something was dropped: the oldest, or with the other policies (and where there is no older one) `item`
   * itself. `taken`: the number of places that are in use elsewhere.
   */
  push(item: T, taken = 0): boolean {
    if (this.size + taken < this.limits.maxSize) {
      this.items.push(item);
      return true;
    }
    if (this.limits.overflow === 'drop-oldest' && this.size > 0) {
      this.shift();
      this.items.push(item);
    }
    return false;
  }

  shift(): T | undefined {
    const item = this.items[this.head];
    if (this.size > 0) this.head++;
    if (this.head === this.items.length) this.clear();
    else if (this.head > this.items.length / 2) this.compact();
    return item;
  }

  clear(): void {
    this.items = [];
    this.head = 0;
  }

  /** Array.shift() would move all that waits for each one taken; this moves each of them once on average. */
  private compact(): void {
    this.items = this.items.slice(this.head);
    this.head = 0;
  }
}
