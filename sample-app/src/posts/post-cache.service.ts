import { Injectable } from '@nestjs/common';
import { Listener, OnGap } from 'nestjs-pgpubsub';
import { PostChanged } from '../channels.js';
import type { Post } from './post.entity.js';

/** A post that is loaded or being loaded. */
type Entry = Promise<Post | null>;

/**
 * The posts that this process has read. Each process has its own cache and drops posts that any
 * process changes.
 */
@Injectable()
export class PostCache {
  private readonly entries = new Map<number, Entry>();

  get size(): number {
    return this.entries.size;
  }

  find(id: number): Entry | undefined {
    return this.entries.get(id);
  }

  /**
   * Adds an entry when its load starts, so that a change during the load drops it. An entry that is
   * added after the load could be older than the change and would stay. Posts that are not found
   * are removed again.
   */
  add(id: number, entry: Entry): Entry {
    this.entries.set(id, entry);
    const remove = () => this.entries.get(id) === entry && this.entries.delete(id);
    entry.then((post) => post ?? remove(), remove);
    return entry;
  }

  /** Runs in every process after the change is committed. */
  @Listener(PostChanged)
  drop({ id }: { id: number }): void {
    this.entries.delete(id);
  }

  /** Runs when notifications may have been missed: any entry may be outdated. */
  @OnGap()
  clear(): void {
    this.entries.clear();
  }
}
