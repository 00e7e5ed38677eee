import { Injectable } from '@nestjs/common';
import { Listener, OnGap } from 'nestjs-pgpubsub';
import { PostChanged } from '../channels.js';
import type { Post } from './post.entity.js';

/** A post that is being loaded or has been. */
type Entry = Promise<Post | null>;

/**
 * The posts this process has read. Each process has a cache of its own, and drops what any of them changes.
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
   * Remembers an entry from the moment its loading begins: a change that arrives meanwhile then drops it, where a
   * row put here after the load could be older than the change, and would stay. What is not found is not remembered.
   */
  add(id: number, entry: Entry): Entry {
    this.entries.set(id, entry);
    const forget = () => this.entries.get(id) === entry && this.entries.delete(id);
    entry.then((post) => post ?? forget(), forget);
    return entry;
  }

  /** In every process, once the change is committed. */
  @Listener(PostChanged)
  drop({ id }: { id: number }): void {
    this.entries.delete(id);
  }

  /** Changes may have been missed while the LISTEN connection was down: nothing here can be trusted. */
  @OnGap()
  clear(): void {
    this.entries.clear();
  }
}
