import { Controller, Get } from '@nestjs/common';
import { ReadsService } from './reads.service.js';

@Controller('reads')
export class ReadsController {
  constructor(private readonly reads: ReadsService) {}

  /** `{ "2026-11-21": 3 }` */
  @Get()
  all(): Record<string, number> {
    return this.reads.all();
  }
}
