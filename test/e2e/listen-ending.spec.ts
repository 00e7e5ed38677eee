import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ListenCommand, isRunning, listenApp } from '../support/listen-command.js';
import { eventually } from '../support/mailbox.js';
import { StoredDatabase } from '../support/stored-worker.js';

let database: StoredDatabase;
beforeEach(async () => {
  database = await StoredDatabase.create();
});
afterEach(() => database[Symbol.asyncDispose]());

const APP = listenApp('app.module.js');
const LONG_MS = 60_000;

const start = (processes: number, ...args: string[]) =>
  ListenCommand.start(database.url, processes, APP, ...args);

/** Resolves when its handler runs. */
async function work(command: ListenCommand, task: { n: number; ms: number }): Promise<void> {
  await database.store('tasks', [task]);
  await command.says(`Working on ${task.n}`);
}

const handled = async () => (await database.effects('work')).map(({ n }) => n);

describe.each([
  ['in one process', 1, []],
  ['with two processes', 2, ['--processes', '2']],
] as const)('pgpubsub listen %s', (_, processes, args) => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'finishes running handlers after %s, and exits with 0',
    async (signal) => {
      await using command = await start(processes, ...args);
      await work(command, { n: 1, ms: 2_000 });
      const began = performance.now();
      command.signal(signal);

      expect(await command.exited()).toEqual({ code: 0, signal: null });
      expect(performance.now() - began).toBeLessThan(10_000); // the limit
      expect(await handled()).toEqual([1]);
      expect(command.errors.all).toEqual([]);
      expect(command.processes.filter(isRunning)).toEqual([]);
    },
  );

  it('finishes running handlers when the reader of its output is gone, and exits with 1', async () => {
    await using command = await start(processes, ...args);
    await work(command, { n: 1, ms: 500 });
    command.closeOutput();
    await database.store('tasks', [{ n: 2 }]); // writes a log line into the closed pipe

    expect(await command.exited()).toEqual({ code: 1, signal: null });
    await eventually(() => !command.processes.some(isRunning), 'all have ended');
    expect(new Set(await handled())).toEqual(new Set([1, 2]));
    expect(command.errors.all).toEqual([]);
  });

  it('finishes running handlers when a signal comes first to it and then to its group', async () => {
    await using command = await start(processes, ...args);
    await work(command, { n: 1, ms: 2_000 });
    command.signal('SIGTERM');
    const group = [command.pid, ...command.processes.filter(isRunning)];
    // another signal, because two equal ones may merge
    for (const pid of group) process.kill(pid, 'SIGINT');

    expect(await command.exited()).toEqual({ code: 0, signal: null });
    expect(await handled()).toEqual([1]);
  });

  it('ends at once on a second signal after a pause', async () => {
    await using command = await start(processes, ...args);
    await work(command, { n: 1, ms: LONG_MS });
    const began = performance.now();
    const signalAgain = () => {
      command.signal('SIGTERM');
      return !isRunning(command.pid);
    };
    // without a second signal handlers get 10 s
    await eventually(signalAgain, 'it has ended', 8_000);

    expect(performance.now() - began).toBeGreaterThan(200);
    expect(await command.exited()).toEqual({ code: 1, signal: null });
    await eventually(() => !command.processes.some(isRunning), 'all have ended');
    expect(await handled()).toEqual([]);
  });
});

describe('a supervised process of pgpubsub listen', () => {
  it('finishes running handlers on SIGTERM and is replaced', async () => {
    await using command = await start(1, '--processes', '1');
    const [process_ = 0] = command.processes;
    await work(command, { n: 1, ms: 500 });
    process.kill(process_, 'SIGTERM');

    await command.says(`Process ${process_} has ended (exit code 0)`);
    await command.says('Handling stored notifications', 2);
    expect(await handled()).toEqual([1]);
    expect(command.processes).toHaveLength(2);
  });

  it('finishes running handlers when both it and its supervisor receive the signal', async () => {
    await using command = await start(2, '--processes', '2');
    await work(command, { n: 1, ms: 1_000 });
    command.signal('SIGINT'); // first, so that it does not replace a process that ends earlier
    for (const pid of command.processes.filter(isRunning)) process.kill(pid, 'SIGINT');

    expect(await command.exited()).toEqual({ code: 0, signal: null });
    expect(await handled()).toEqual([1]);
    expect(command.processes).toHaveLength(2);
  });

  it('finishes running handlers and ends when its supervisor is killed', async () => {
    await using command = await start(2, '--processes', '2');
    await work(command, { n: 1, ms: 1_000 });
    command.signal('SIGKILL');

    await eventually(() => !command.processes.some(isRunning), 'all have ended');
    expect(await handled()).toEqual([1]);
  });

  it('ends the command when it crashes under --no-restart-on-failure, after the others finish running handlers', async () => {
    await using command = await start(2, '--processes', '2', '--no-restart-on-failure');
    await work(command, { n: 1, ms: 1_000 });
    const busy = await busyProcess(command);
    const victim = command.processes.find((pid) => pid !== busy) ?? 0;
    process.kill(victim, 'SIGKILL');

    expect(await command.exited()).toEqual({ code: 1, signal: null });
    expect(await handled()).toEqual([1]);
    expect(command.processes).toHaveLength(2);
  });
});

/** Returns the id of the process that runs a handler, from its log line. */
async function busyProcess({ output }: ListenCommand): Promise<number> {
  const line = await output.find((text) => text.includes('Working on'));
  return Number(/\[Nest\] (\d+)/.exec(line)?.[1]);
}
