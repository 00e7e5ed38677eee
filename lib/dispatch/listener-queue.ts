import { setImmediate as turn } from 'node:timers/promises';
import type { Notification } from '../channels/notification.js';
import { PgPubSubError } from '../common/errors.js';
import type { ReportEvent } from '../common/events.js';
import type { BufferLimits } from '../common/overflow.js';
import { BoundedBuffer } from './bounded-buffer.js';
import type { Receiver } from './channel-stream.js';

export interface ListenerQueueOptions {
  readonly channel: string;
  readonly listener: string;
  /** The number of handlers that may run at once; 1: one after the other, in order. */
  readonly concurrency: number;
  /** Whether a notification is addressed to the listener; without it all are. */
  readonly accepts?: ((notification: Notification) => boolean) | undefined;
  readonly invoke: (notification: Notification) => unknown;
  readonly buffer: BufferLimits;
  readonly report: ReportEvent;
}

/**
 * The time for which handlers run before timers and sockets get a turn. Handlers that never wait
 * run in microtasks, which would block everything else. Yielding after each handler would cost more
 * than most handlers do, and bursts would not be handled as fast as they are read.
 */
const TURN_MS = 50;

/**
 * Runs one listener on the notifications of its channel; the others wait in a bounded buffer. A
 * handler that throws, rejects or never settles affects nothing outside. Owned by the module; ends
 * with `close()`.
 */
export class ListenerQueue implements Receiver {
  private readonly waiting: BoundedBuffer<Notification>;
  private running = 0;
  /** The start times of running handlers. */
  private readonly starts = new Set<{ at: number }>();
  private dropped = 0;
  /** The number of handled notifications that are not reported yet. */
  private handled = 0;
  private turnBegan = 0;
  private cpuBefore = process.cpuUsage();
  private readonly idleWaiters: (() => void)[] = [];

  constructor(private readonly options: ListenerQueueOptions) {
    this.waiting = new BoundedBuffer(options.buffer);
  }

  get name(): string {
    return this.options.listener;
  }

  get channel(): string {
    return this.options.channel;
  }

  next(notification: Notification): void {
    const { accepts } = this.options;
    if (accepts !== undefined && !accepts(notification)) return;
    if (this.running < this.options.concurrency) void this.run(notification);
    else if (!this.waiting.push(notification)) this.reportDrop();
  }

  complete(): void {
    // close() follows; running handlers continue
  }

  /** Drops waiting notifications; resolves when handlers have settled, or `signal` is aborted. */
  async close(signal: AbortSignal): Promise<void> {
    this.discardWaiting();
    if (this.running === 0 || signal.aborted) return;
    const aborted = new Promise<void>((resolve) =>
      signal.addEventListener('abort', () => resolve(), { once: true }),
    );
    await Promise.race([this.whenIdle(), aborted]);
  }

  /** The milliseconds for which the oldest handler has been running; 0 when none runs. */
  get longestRunMs(): number {
    const now = performance.now();
    return Math.max(0, ...Array.from(this.starts, ({ at }) => now - at));
  }

  get isRunning(): boolean {
    return this.running > 0;
  }

  /** Resolves when no handler runs, and so no notification waits. */
  whenIdle(): Promise<void> {
    if (this.running === 0) return Promise.resolve();
    return new Promise((resolve) => this.idleWaiters.push(resolve));
  }

  private async run(first: Notification): Promise<void> {
    this.running++;
    if (this.running === 1) this.beginTurn();
    const start = { at: performance.now() };
    this.starts.add(start);
    await this.invoke(first); // takes a turn, in which the rest of the chunk arrives
    for (;;) {
      start.at = performance.now();
      if (this.waiting.size > 0 && start.at - this.turnBegan > TURN_MS) await this.yieldTurn();
      const next = this.waiting.shift();
      if (next === undefined) break;
      const running = this.invoke(next);
      if (running) await running; // a synchronous method takes no turn
    }
    this.starts.delete(start);
    this.reportHandled();
    if (--this.running === 0) for (const resolve of this.idleWaiters.splice(0)) resolve();
  }

  /** Returns a promise, which never rejects, if the method returns one. */
  private invoke(notification: Notification): Promise<void> | undefined {
    try {
      const result = this.options.invoke(notification);
      if (isPromiseLike(result)) return this.settle(result);
      this.handled++;
    } catch (error) {
      this.reportFailure(error);
    }
    return undefined;
  }

  private async settle(result: PromiseLike<unknown>): Promise<void> {
    try {
      await result;
      this.handled++;
    } catch (error) {
      this.reportFailure(error);
    }
  }

  /** Yields unless this process was descheduled: it must then catch up with its socket. */
  private async yieldTurn(): Promise<void> {
    this.reportHandled();
    const { user, system } = process.cpuUsage(this.cpuBefore);
    if (user + system > TURN_MS * 1_000) {
      await turn();
      this.beginTurn();
    } else this.turnBegan = performance.now();
  }

  private beginTurn(): void {
    this.turnBegan = performance.now();
    this.cpuBefore = process.cpuUsage();
  }

  private reportHandled(): void {
    const { channel, listener, report } = this.options;
    const count = this.handled;
    this.handled = 0;
    if (count > 0) report({ type: 'handled', channel, listener, count });
  }

  private reportFailure(error: unknown): void {
    const { channel, listener, report } = this.options;
    report({ type: 'failed', channel, listener, error });
  }

  private reportDrop(): void {
    const { channel, listener, buffer, report } = this.options;
    this.dropped++;
    if (buffer.overflow === 'error') this.reportFailure(bufferOverflow(channel, buffer));
    report({ type: 'dropped', channel, receiver: listener, total: this.dropped });
  }

  private discardWaiting(): void {
    const { channel, listener, report } = this.options;
    const count = this.waiting.size;
    this.waiting.clear();
    if (count > 0) report({ type: 'discarded', channel, receiver: listener, count });
  }
}

const isPromiseLike = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';

export const bufferOverflow = (channel: string, { maxSize }: BufferLimits) =>
  new PgPubSubError(
    'BUFFER_OVERFLOW',
    `expected at most ${maxSize} notifications to wait on channel "${channel}", got more. ` +
      'Receive faster, raise the option "buffer.maxSize", or choose to drop with "buffer.overflow".',
  );
