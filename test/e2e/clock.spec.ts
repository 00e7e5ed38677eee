import { afterAll, beforeAll, expect, it } from 'vitest';
import { TestDatabase } from '../support/database.js';
import { FakeClock } from '../support/fake-clock.js';
import { Worker } from '../support/worker.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await TestDatabase.create();
});
afterAll(() => database[Symbol.asyncDispose]());

const skipped = FakeClock.isInstalled ? '' : " (skipped: needs Debian's package faketime)";

it.skipIf(!FakeClock.isInstalled)(
  `a process whose system clock is set back by an hour reports a gap with a positive duration and receives again${skipped}`,
  async () => {
    using clock = new FakeClock();
    await using worker = await Worker.start(database.url, clock.env);
    clock.set(-3_600);
    await database.terminateListeners();

    const gap = await worker.reported('gap');
    expect(gap).toMatchObject({
      seconds: expect.toSatisfy((seconds) => seconds >= 0 && seconds < 600) as unknown,
    });
    worker.send({ type: 'notify', channel: 'orders', payload: 'after' });
    await worker.received.find((payload) => payload === 'after');
  },
);
