import type { BufferLimits } from '../common/overflow.js';

/** A queue of at most `maxSize` items for one slow receiver. The owner handles drops. */
export class BoundedBuffer<T> {
  private items: T[] = [];
  private head = 0;

  constructor(private readonly limits: BufferLimits) {}

  get size(): number {
    return this.items.length - this.head;
  }

  /**
   * Returns `false` when an item was dropped: the oldest one, or `item` itself (with the other
   * policies, and without an older one). `taken` is the number of places that are in use elsewhere.
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

  /** Moves each item once on average; Array.shift() would move all of them for each one taken. */
  private compact(): void {
    this.items = this.items.slice(this.head);
    this.head = 0;
  }
}
