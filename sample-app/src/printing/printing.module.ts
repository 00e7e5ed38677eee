import { Module } from '@nestjs/common';
import { EditionsController } from './editions.controller.js';
import { PrintingService } from './printing.service.js';

@Module({ controllers: [EditionsController], providers: [PrintingService], exports: [PrintingService] })
export class PrintingModule {}
