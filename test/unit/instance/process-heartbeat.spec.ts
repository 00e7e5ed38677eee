import { expect, it, vi } from 'vitest';
import { ProcessHeartbeat } from '../../../lib/instance/process-heartbeat.js';

const nothing = () => Promise.resolve();
const base = {
  connection: { query: () => Promise.resolve([]) },
  schema: () => 'public',
  application: () => 'shop',
  listeners: () => ({}),
  duties: [nothing],
  report: () => undefined,
};

it('ProcessHeartbeat reports an application name that cannot be read, and still runs its duties', async () => {
  const report = vi.fn();
  const application = () => {
    throw new Error('the DataSource was destroyed');
  };
  await new Promise<void>((resolve) => {
    const duties = [() => Promise.resolve(resolve())];
    new ProcessHeartbeat({ ...base, application, duties, report }).start();
  });
  const error = expect.objectContaining({ message: 'the DataSource was destroyed' }) as unknown;
  expect(report.mock.calls).toEqual([[{ type: 'unrecorded', error }]]);
});

it('ProcessHeartbeat turns the error of a duty into a process warning', async () => {
  const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
  const duties = [
    () => {
      throw new Error('this duty is broken');
    },
  ];
  new ProcessHeartbeat({ ...base, duties }).start();
  expect((await warned).message).toBe('this duty is broken');
});
