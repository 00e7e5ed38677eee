import { afterEach, beforeEach, expect, it } from 'vitest';
import { ListenCommand, listenApp } from '../support/listen-command.js';
import { eventually } from '../support/mailbox.js';
import { StoredDatabase } from '../support/stored-worker.js';

let database: StoredDatabase;
beforeEach(async () => {
  database = await StoredDatabase.create();
  await database.store('failures', [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4 }, { n: 5 }]);
});
afterEach(() => database[Symbol.asyncDispose]());

const run = (...args: string[]) => ListenCommand.run(database.url, listenApp('app.module.js'), ...args);

/** The number of failures in the log before the line with the sum. */
function failuresLogged({ output }: ListenCommand): number {
  const sum = output.all.findIndex((line) => line.includes('Handled 0 stored notifications, 5 failed'));
  const lines = output.all.slice(0, sum).filter((line) => line.includes('TaskListeners.fail failed'));
  const more = lines.map((line) => Number(/ago, and (\d+) more like this\)/.exec(line)?.[1] ?? 0));
  return more.reduce((total, count) => total + count, lines.length);
}

it.each([[[]], [['--processes', '2']]])(
  'pgpubsub listen --drain logs or counts each failure: %j',
  async (args) => {
    await using command = run('--drain', ...args);

    expect(await command.exited()).toEqual({ code: 1, signal: null });
    expect(failuresLogged(command)).toBe(5);
  },
);

it('pgpubsub listen logs or counts each failure when it receives SIGTERM', async () => {
  await using command = run();
  const tried = () => database.count('pgpubsub_notification where attempts > 0');
  await eventually(async () => (await tried()) === 5, 'each has failed');
  command.signal('SIGTERM');

  expect(await command.exited()).toEqual({ code: 0, signal: null });
  expect(failuresLogged(command)).toBe(5);
});
