import 'reflect-metadata';
import { Module } from '@nestjs/common';

/** As TypeScript compiles it for applications that are CommonJS. */
@Module({ providers: [] })
export class CommonModule {}
