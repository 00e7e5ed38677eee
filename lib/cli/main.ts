#!/usr/bin/env node
import 'reflect-metadata';
import { runProgram } from './program.js';

const code = await runProgram(process.argv.slice(2));
for (const stream of [process.stdout, process.stderr])
  await new Promise<void>((resolve) => stream.write('', () => resolve()));
process.exit(code); // what users' files have opened would keep the process
