import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { afterEach, expect, it, vi } from 'vitest';
import { SupervisedProcess, type ProcessReport } from '../../../lib/cli/supervised.process.js';
import { Supervisor } from '../../../lib/cli/supervisor.js';

const WATCHER = { found: () => undefined, advanced: () => undefined, done: () => undefined };

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

/** A process that is ready, and ends like this when it is told to finish. */
class FakeChild extends EventEmitter {
  readonly pid = 7;
  readonly connected = true;

  constructor(
    private readonly code: number | null,
    private readonly signal: NodeJS.Signals | null,
    private readonly lastWords: ProcessReport | undefined,
  ) {
    super();
  }

  send(): void {
    this.end();
  }

  end(): void {
    if (this.lastWords) this.emit('message', this.lastWords);
    this.emit('exit', this.code, this.signal);
    this.emit('disconnect');
  }
}

async function finish(code: number | null, signal: NodeJS.Signals | null, lastWords?: ProcessReport) {
  const lines: string[] = [];
  const child = new FakeChild(code, signal, lastWords);
  const supervisor = new Supervisor({
    processes: 1,
    backlog: undefined,
    restartOnFailure: true,
    spawn: () => new SupervisedProcess(child as unknown as ChildProcess, WATCHER), // as far as it is used
    log: (level, line) => level === 'warn' && lines.push(line),
  });
  const end = supervisor.run();
  child.emit('message', { type: 'ready' });
  supervisor.finish();
  await end;
  return { hasFailed: supervisor.hasFailed, lines };
}

it.each([
  ['ends with 0', 0, null],
  ['had heard the signal of the group before it could handle any', null, 'SIGINT'],
] as const)('has not failed when a process that is to finish %s', async (_, code, signal) => {
  expect(await finish(code, signal)).toEqual({ hasFailed: false, lines: [] });
});

it('has failed, and says why, when a process that is to finish does not', async () => {
  const message = 'expected the application to close within 15000 ms';
  expect(await finish(1, null, { type: 'failed', message, exitCode: 1 })).toEqual({
    hasFailed: true,
    lines: [`Process 7 has ended (exit code 1): ${message}; it has not finished what ran`],
  });
  expect(await finish(null, 'SIGKILL')).toEqual({
    hasFailed: true,
    lines: ['Process 7 has ended (signal SIGKILL); it has not finished what ran'],
  });
});

it('replaces one that dies after pauses that double, and begin anew once it has run for a while', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  vi.spyOn(Math, 'random').mockReturnValue(0.002); // of 500 ms, and what they become
  const pauses: number[] = [];
  let started = 0;
  const supervisor: Supervisor = new Supervisor({
    processes: 1,
    backlog: undefined,
    restartOnFailure: true,
    spawn: () => {
      const child = new FakeChild(null, 'SIGKILL', undefined);
      if (++started === 6) queueMicrotask(() => supervisor.finish());
      else queueMicrotask(() => die(child));
      return new SupervisedProcess(child as unknown as ChildProcess, WATCHER);
    },
    log: (_level, line) => {
      const pause = /has ended \(signal SIGKILL\); replacing it in (\d+) ms$/.exec(line)?.[1];
      if (pause !== undefined) pauses.push(Number(pause));
    },
  });
  const die = (child: FakeChild) => {
    child.emit('message', { type: 'ready' });
    if (started === 4) vi.advanceTimersByTime(11_000);
    setImmediate(() => child.end());
  };
  await supervisor.run();
  expect(pauses).toEqual([1, 2, 4, 1, 2]);
});
