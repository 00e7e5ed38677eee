import { describe, expect, it, vi } from 'vitest';
import { createQueue, handledOf } from './listener-queue.fixtures.js';

const never = new AbortController().signal;

describe('ListenerQueue.close()', () => {
  it('resolves at once when nothing runs', async () => {
    const { queue, events } = createQueue();
    await queue.close(never);

    expect(events).toEqual([]);
  });

  it('discards waiting notifications and reports their number', async () => {
    const { queue, push, events, started, finish } = createQueue();
    push('running', 1, 2);
    const closing = queue.close(never);
    await finish(0);
    await closing;

    expect(started).toEqual(['running']);
    expect(events).toEqual([
      { type: 'discarded', channel: 'orders', receiver: 'Orders.receive', count: 2 },
      handledOf(1),
    ]);
  });

  it('waits for every running handler', async () => {
    const { queue, push, finish } = createQueue({ concurrency: 2 });
    push(1, 2);
    const closed = vi.fn<() => void>();
    const closing = queue.close(never).then(closed);
    await finish(0);
    expect(closed).not.toHaveBeenCalled();

    await finish(1);
    await closing;
    expect(queue.isRunning).toBe(false);
  });

  it('stops waiting when the signal is aborted', async () => {
    const { queue, push } = createQueue();
    const shutdown = new AbortController();
    push('stuck');
    const closing = queue.close(shutdown.signal);
    shutdown.abort();
    await closing;

    expect(queue.isRunning).toBe(true);
  });

  it('does not wait when the signal is already aborted', async () => {
    const { queue, push } = createQueue();
    push('stuck');

    await expect(queue.close(AbortSignal.abort())).resolves.toBeUndefined();
  });

  it('resolves each of several calls', async () => {
    const { queue, push, finish } = createQueue();
    push('running');
    const closed = vi.fn<() => void>();
    void queue.close(never).then(closed);
    void queue.close(never).then(closed);
    await finish(0);

    expect(closed).toHaveBeenCalledTimes(2);
  });
});
