import { Controller, Post } from '@nestjs/common';
import { ProcessesService } from './processes.service.js';

@Controller('processes')
export class ProcessesController {
  constructor(private readonly processes: ProcessesService) {}

  /** What a failover or a restart of the server would do. */
  @Post('interruptions')
  interrupt(): Promise<{ ended: number; inserted: number }> {
    return this.processes.interrupt();
  }
}
