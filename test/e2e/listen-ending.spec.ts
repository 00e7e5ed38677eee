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
  ['alone', 1, []],
  ['with two processes', 2, ['--processes', '2']],
] as const)('%s', (_, processes, args) => {
  it.each(['SIGTERM', 'SIGINT'] as const)('finishes what runs after %s, and exits with 0', async (signal) => {
    await using command = await start(processes, ...args);
    await work(command, { n: 1, ms: 2_000 });
    const began = performance.now();
    command.signal(signal);

    expect(await command.exited()).toEqual({ code: 0, signal: null });
    expect(performance.now() - began).toBeLessThan(10_000); // the limit
    expect(await handled()).toEqual([1]);
    expect(command.errors.all).toEqual([]);
    expect(command.processes.filter(isRunning)).toEqual([]);
  });

  it('finishes what runs when nobody reads its output any more, and exits with 1', async () => {
    await using command = await start(processes, ...args);
    await work(command, { n: 1, ms: 500 });
    command.closeOutput();
    await database.store('tasks', [{ n: 2 }]); // whose line of the log finds nobody

    expect(await command.exited()).toEqual({ code: 1, signal: null });
    await eventually(() => !command.processes.some(isRunning), 'all have ended');
    expect(new Set(await handled())).toEqual(new Set([1, 2]));
    expect(command.errors.all).toEqual([]);
  });

  it('finishes what runs after a signal that comes to it, and again to its group', async () => {
    await using command = await start(processes, ...args);
    await work(command, { n: 1, ms: 2_000 });
    command.signal('SIGTERM');
    const group = [command.pid, ...command.processes.filter(isRunning)];
    for (const pid of group) process.kill(pid, 'SIGINT'); // two of the same may come as one

    expect(await command.exited()).toEqual({ code: 0, signal: null });
    expect(await handled()).toEqual([1]);
  });

  it('ends at once when it is told again later', async () => {
    await using command = await start(processes, ...args);
    await work(command, { n: 1, ms: LONG_MS });
    const began = performance.now();
    const insist = () => {
      command.signal('SIGTERM');
      return !isRunning(command.pid);
    };
    await eventually(insist, 'it has ended', 8_000); // handlers would have ten seconds

    expect(performance.now() - began).toBeGreaterThan(200);
    expect(await command.exited()).toEqual({ code: 1, signal: null });
    await eventually(() => !command.processes.some(isRunning), 'all have ended');
    expect(await handled()).toEqual([]);
  });
});

describe('a supervised process', () => {
  it('finishes what runs when it is told to end, and is replaced', async () => {
    await using command = await start(1, '--processes', '1');
    const [process_ = 0] = command.processes;
    await work(command, { n: 1, ms: 500 });
    process.kill(process_, 'SIGTERM');

    await command.says(`Process ${process_} has ended (exit code 0)`);
    await command.says('Handling stored notifications', 2);
    expect(await handled()).toEqual([1]);
    expect(command.processes).toHaveLength(2);
  });

  it('hears the signal of its group as well as its supervisor, and still finishes what runs', async () => {
    await using command = await start(2, '--processes', '2');
    await work(command, { n: 1, ms: 1_000 });
    command.signal('SIGINT'); // first, so that it does not replace who ends before it has heard
    for (const pid of command.processes.filter(isRunning)) process.kill(pid, 'SIGINT');

    expect(await command.exited()).toEqual({ code: 0, signal: null });
    expect(await handled()).toEqual([1]);
    expect(command.processes).toHaveLength(2);
  });

  it('finishes what runs and ends when its supervisor is killed', async () => {
    await using command = await start(2, '--processes', '2');
    await work(command, { n: 1, ms: 1_000 });
    command.signal('SIGKILL');

    await eventually(() => !command.processes.some(isRunning), 'all have ended');
    expect(await handled()).toEqual([1]);
  });

  it('takes all with it under --no-restart-on-failure; the others finish what runs', async () => {
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

/** Which of them works: its line of the log says so. */
async function busyProcess({ output }: ListenCommand): Promise<number> {
  const line = await output.find((text) => text.includes('Working on'));
  return Number(/\[Nest\] (\d+)/.exec(line)?.[1]);
}
