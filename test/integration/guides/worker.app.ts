import { Injectable } from '@nestjs/common';
import { Listener, OnGap, PubSubService, defineChannel } from 'nestjs-pgpubsub';
import {
  Column,
  DataSource,
  Entity,
  IsNull,
  PrimaryGeneratedColumn,
} from 'typeorm';

/** The code of docs/guides/waking-a-worker.md. */

@Entity()
export class Report {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  month!: string;

  @Column('text', { nullable: true })
  text!: string | null;
}

export const ReportsWanted = defineChannel('reports_wanted');

@Injectable()
export class Reports {
  constructor(
    private readonly dataSource: DataSource,
    private readonly pubsub: PubSubService,
  ) {}

  order(month: string): Promise<void> {
    return this.dataSource.transaction(async (manager) => {
      await manager.insert(Report, { month });
      await this.pubsub.notify(ReportsWanted, undefined, { manager });
    });
  }
}

@Injectable()
export class ReportWriter {
  constructor(private readonly dataSource: DataSource) {}

  /** Repeats until no report is left. */
  @Listener(ReportsWanted)
  @OnGap()
  async work(): Promise<void> {
    while (await this.writeOne());
  }

  /** Skips rows that other processes have locked. */
  private writeOne(): Promise<boolean> {
    return this.dataSource.transaction(async (manager) => {
      const report = await manager.findOne(Report, {
        where: { text: IsNull() },
        order: { id: 'ASC' },
        lock: { mode: 'pessimistic_write', onLocked: 'skip_locked' },
      });
      if (!report) return false;
      await manager.update(Report, report.id, {
        text: `All of ${report.month}`,
      });
      return true;
    });
  }
}
