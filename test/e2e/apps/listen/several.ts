import { Module } from '@nestjs/common';

@Module({ providers: [] })
export class FirstModule {}

@Module({ providers: [] })
export class SecondModule {}

/** As an application may export what ends it. */
export const stopped: Promise<never> = new Promise(() => undefined);

export const PromisedModule = Promise.resolve({ module: FirstModule });
