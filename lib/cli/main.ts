#!/usr/bin/env node
import 'reflect-metadata';
import { runProgram } from './program.js';

const streams = [process.stdout, process.stderr];
// Who reads may leave before the end, as "head" does: what is written then is lost, and the exit code still counts.
for (const stream of streams) stream.on('error', () => undefined);
const code = await runProgram(process.argv.slice(2));
for (const stream of streams) await new Promise<void>((resolve) => stream.write('', () => resolve()));
process.exit(code); // what users' files have opened would keep the process
