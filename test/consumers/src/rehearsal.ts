import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Listener } from 'nestjs-pgpubsub';
import { PgPubSubTestingModule, PubSubTester } from 'nestjs-pgpubsub/testing';

@Injectable()
class Actor {
  readonly lines: string[] = [];

  @Listener('lines')
  say(line: string): void {
    this.lines.push(line);
  }
}

@Module({ imports: [PgPubSubTestingModule.forRoot()], providers: [Actor] })
class Stage {}

/** Uses the testing module, without a database. */
export async function rehearse(): Promise<void> {
  const stage = await NestFactory.createApplicationContext(Stage, { logger: ['error', 'warn'] });
  const tester = stage.get(PubSubTester);
  await tester.publish('lines', 'to be');
  await tester.flush();
  const { lines } = stage.get(Actor);
  if (lines.join() !== 'to be') throw new Error(`expected one line, got ${lines.join()}`);
  await stage.close();
}
