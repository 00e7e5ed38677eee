import { setImmediate as turn } from 'node:timers/promises';
import type { ModuleMetadata, Provider } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  PubSubService,
  defineChannel,
  getPubSubToken,
  type PgPubSubExtras,
  type PgPubSubOptions,
} from 'nestjs-pgpubsub';
import { PgPubSubTestingModule, PubSubTester } from 'nestjs-pgpubsub/testing';
import { afterEach } from 'vitest';
import { z } from 'zod';

/** Resolves some turns of the event loop later, like a request to another service. */
export async function answer(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await turn();
}

export const Orders = defineChannel('orders', { schema: z.object({ id: z.number() }) });

/** Hides the errors that the tests cause. */
const SILENT = { log() {}, warn() {}, error() {} };

/** Starts applications with the testing module; each is closed after its test. */
export function useTestingApp() {
  let app: TestingModule | undefined;
  afterEach(async () => {
    await app?.close();
    app = undefined;
  });

  return async function start(
    providers: Provider[] = [],
    options: PgPubSubOptions & PgPubSubExtras = {},
    imports: ModuleMetadata['imports'] = [],
  ) {
    app = await Test.createTestingModule({
      imports: [PgPubSubTestingModule.forRoot(options), ...imports],
      providers,
    })
      .setLogger(SILENT)
      .compile();
    await app.init();
    return {
      app,
      pubsub: app.get<PubSubService>(getPubSubToken(options.name)),
      tester: PubSubTester.of(app, options.name),
    };
  };
}
