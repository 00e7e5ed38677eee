import { Module } from '@nestjs/common';

@Module({ providers: [] })
export class FirstModule {}

@Module({ providers: [] })
export class SecondModule {}

/** Stands for an export of an application that resolves when the application ends. */
export const stopped: Promise<never> = new Promise(() => undefined);

export const PromisedModule = Promise.resolve({ module: FirstModule });
