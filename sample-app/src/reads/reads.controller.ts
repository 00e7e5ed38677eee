import { Controller, Get } from '@nestjs/common';
import { ReadsService } from './reads.service.js';

@Controller('reads')
export class ReadsController {
  constructor(private readonly reads: ReadsService) {}

  /** Returns the reads by day: `{ "2026-11-21": 3 }`. */
  @Get()
  async all(): Promise<Record<string, number>> {
    const days = await this.reads.all();
    return Object.fromEntries(days.map(({ date, reads }) => [date, reads]));
  }
}
