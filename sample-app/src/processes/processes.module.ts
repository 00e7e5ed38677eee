import { Module } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { FailureReporter } from './failure.reporter.js';
import { HandlingInterceptor } from './handling.interceptor.js';
import { ProcessesController } from './processes.controller.js';
import { ProcessesService } from './processes.service.js';

@Module({
  controllers: [ProcessesController],
  providers: [ProcessesService, FailureReporter, { provide: APP_INTERCEPTOR, useClass: HandlingInterceptor }],
  exports: [ProcessesService],
})
export class ProcessesModule {}
