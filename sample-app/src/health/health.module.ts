import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { PgPubSubHealthIndicator } from 'nestjs-pgpubsub/terminus';
import { HealthController } from './health.controller.js';

@Module({
  imports: [TerminusModule],
  controllers: [HealthController],
  providers: [PgPubSubHealthIndicator],
})
export class HealthModule {}
