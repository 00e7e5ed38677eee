import { Injectable } from '@nestjs/common';
import { Listener, type Notification, type PayloadOf } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { PostReads } from '../channels.js';
import { ReadsPerDay } from './reads-per-day.entity.js';

type PostRead = PayloadOf<typeof PostReads>;

/**
 * Counts reads per day. Each read is counted by one process and exactly once, even when a process
 * crashes.
 */
@Injectable()
export class ReadsService {
  constructor(private readonly dataSource: DataSource) {}

  @Listener(PostReads)
  async count({ date }: PostRead, { manager }: Notification<PostRead>): Promise<void> {
    await manager.createQueryBuilder().insert().into(ReadsPerDay).values({ date }).orIgnore().execute();
    await manager.increment(ReadsPerDay, { date }, 'reads', 1); // commits with the acknowledgement
  }

  all(): Promise<ReadsPerDay[]> {
    return this.dataSource.manager.find(ReadsPerDay, { order: { date: 'ASC' } });
  }
}
