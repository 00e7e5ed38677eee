#!/usr/bin/env node
import 'reflect-metadata';
import { printFailure } from './command-failure.js';
import { preload } from './preload.js';

const streams = [process.stdout, process.stderr];
// A reader such as "head" may close the pipe early: later output is lost, but the exit code stays.
for (const stream of streams) stream.on('error', () => undefined);
const code = await run(process.argv.slice(2)).catch(printFailure);
for (const stream of streams) await new Promise<void>((resolve) => stream.write('', () => resolve()));
process.exit(code); // resources of the user's files would keep the process alive

async function run(args: readonly string[]): Promise<number> {
  await preload(args);
  const { runProgram } = await import('./program.js'); // loads Nest, TypeORM and pg, which an --import may instrument
  return runProgram(args);
}
