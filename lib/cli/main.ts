#!/usr/bin/env node
import 'reflect-metadata';
import { printFailure } from './command-failure.js';
import { preload } from './preload.js';

const streams = [process.stdout, process.stderr];
// A reader may close the pipe before the end, as "head" does: later output is lost, and the exit code still counts.
for (const stream of streams) stream.on('error', () => undefined);
const code = await run(process.argv.slice(2)).catch(printFailure);
for (const stream of streams) await new Promise<void>((resolve) => stream.write('', () => resolve()));
process.exit(code); // what users' files have opened would keep the process

async function run(args: readonly string[]): Promise<number> {
  await preload(args);
  const { runProgram } = await import('./program.js'); // loads Nest, TypeORM and pg, which an --import may instrument
  return runProgram(args);
}
