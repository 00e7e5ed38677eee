import { Module } from '@nestjs/common';

@Module({ providers: [] })
export class FirstModule {}

@Module({ providers: [] })
export class SecondModule {}
