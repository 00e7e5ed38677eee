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

/** A process that exits with this code or signal when it receives the command to finish. */
class FakeChild extends EventEmitter {
  readonly pid = 7;
  readonly connected = true;

  constructor(
    private readonly code: number | null,
    private readonly signal: NodeJS.Signals | null,
    private readonly lastReport: ProcessReport | undefined,
  ) {
    super();
  }

  send(): void {
    this.end();
  }

  end(): void {
    if (this.lastReport) this.emit('message', this.lastReport);
    this.emit('exit', this.code, this.signal);
    this.emit('disconnect');
  }
}

async function finish(code: number | null, signal: NodeJS.Signals | null, lastReport?: ProcessReport) {
  const lines: string[] = [];
  const child = new FakeChild(code, signal, lastReport);
  const supervisor = new Supervisor({
    processes: 1,
    backlog: undefined,
    restartOnFailure: true,
    spawn: () => new SupervisedProcess(child as unknown as ChildProcess, WATCHER),
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
  ['ends by the signal of the group before it can handle signals', null, 'SIGINT'],
] as const)('Supervisor has not failed when a finishing process %s', async (_, code, signal) => {
  expect(await finish(code, signal)).toEqual({ hasFailed: false, lines: [] });
});

it('Supervisor has failed and logs the reason when a process does not finish', async () => {
  const message = 'expected the application to close within 15000 ms';
  expect(await finish(1, null, { type: 'failed', message, exitCode: 1 })).toEqual({
    hasFailed: true,
    lines: [`Process 7 has ended (exit code 1): ${message}; its running handlers did not finish`],
  });
  expect(await finish(null, 'SIGKILL')).toEqual({
    hasFailed: true,
    lines: ['Process 7 has ended (signal SIGKILL); its running handlers did not finish'],
  });
});

it('Supervisor replaces a crashed process after pauses that double and start again after a longer run', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  vi.spyOn(Math, 'random').mockReturnValue(0.002); // makes a pause of 500 ms one of 1 ms
  const pauses: number[] = [];
  let started = 0;
  const supervisor: Supervisor = new Supervisor({
    processes: 1,
    backlog: undefined,
    restartOnFailure: true,
    spawn: () => {
      const child = new FakeChild(null, 'SIGKILL', undefined);
      if (++started === 6) queueMicrotask(() => supervisor.finish());
      else queueMicrotask(() => crash(child));
      return new SupervisedProcess(child as unknown as ChildProcess, WATCHER);
    },
    log: (_level, line) => {
      const pause = /has ended \(signal SIGKILL\); restarting it in (\d+) ms$/.exec(line)?.[1];
      if (pause !== undefined) pauses.push(Number(pause));
    },
  });
  const crash = (child: FakeChild) => {
    child.emit('message', { type: 'ready' });
    if (started === 4) vi.advanceTimersByTime(11_000);
    setImmediate(() => child.end());
  };
  await supervisor.run();
  expect(pauses).toEqual([1, 2, 4, 1, 2]);
});
