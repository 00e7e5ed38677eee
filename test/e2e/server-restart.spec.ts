import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres, type Server } from '../../tools/embedded-postgres.js';
import { Worker } from '../support/worker.js';

const isForeign = process.env['DATABASE_URL'] !== undefined;

let server: Server;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

it.skipIf(isForeign).each([
  ['stopped for 10 s', 'INT', 10_000],
  ['killed', 'QUIT', 0],
] as const)(
  'a process listens again by itself after the server was %s, and reports the gap',
  async (_, signal, downMs) => {
    await using worker = await Worker.start(server.url);
    worker.send({ type: 'notify', channel: 'orders', payload: 'before' });
    await worker.received.find((payload) => payload === 'before');

    await server.halt(signal);
    await worker.reports.find((report) => report.type === 'state' && report.state === 'reconnecting');
    await delay(downMs); // the duration of the outage
    await server.resume();

    const gap = await worker.reported('gap');
    expect(gap).toMatchObject({ type: 'gap' });
    expect((gap as { seconds: number }).seconds).toBeGreaterThanOrEqual(downMs / 1_000);
    worker.send({ type: 'notify', channel: 'orders', payload: 'after' });
    await worker.received.find((payload) => payload === 'after');
    worker.send({ type: 'close' });
    expect(await worker.exited).toBe(0);
  },
);
