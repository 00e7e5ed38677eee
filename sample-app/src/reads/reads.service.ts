import { Injectable } from '@nestjs/common';
import { Listener } from 'nestjs-pgpubsub';
import { PostReads } from '../channels.js';

/**
 * Counts reads per day, in the memory of this process since it started. `post_reads` is a broadcast: each process
 * counts the reads of all.
 */
@Injectable()
export class ReadsService {
  private readonly byDate = new Map<string, number>();

  @Listener(PostReads)
  count({ date }: { date: string }): void {
    this.byDate.set(date, this.perDay(date) + 1);
  }

  perDay(date: string): number {
    return this.byDate.get(date) ?? 0;
  }

  all(): Record<string, number> {
    return Object.fromEntries(this.byDate);
  }
}
