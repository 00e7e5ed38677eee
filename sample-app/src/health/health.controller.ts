import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService, type HealthCheckResult } from '@nestjs/terminus';
import { PgPubSubHealthIndicator } from 'nestjs-pgpubsub/terminus';

@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly pubsub: PgPubSubHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    const limits = { maxBacklogAgeMs: 60_000 };
    return this.health.check([() => this.pubsub.check('pubsub', limits)]);
  }
}
