import { Controller, Post } from '@nestjs/common';
import { ProcessesService } from './processes.service.js';

@Controller('processes')
export class ProcessesController {
  constructor(private readonly processes: ProcessesService) {}

  /** Closes the LISTEN connections, as a failover or a restart of the server would. */
  @Post('interruptions')
  interrupt(): Promise<{ ended: number; inserted: number }> {
    return this.processes.interrupt();
  }
}
