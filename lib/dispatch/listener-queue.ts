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
  /** How many handlers may run at once; 1 is one after the other, in order. */
  readonly concurrency: number;
  /** Whether a notification is addressed to the listener; without it each is. */
  readonly accepts?: ((notification: Notification) => boolean) | undefined;
  readonly invoke: (notification: Notification) => unknown;
  readonly buffer: BufferLimits;
  readonly report: ReportEvent;
}

/**
 * How long handlers may follow each other before timers and sockets get a turn. Handlers that never wait run in
 * microtasks, which would keep everything else out; yielding after each would cost more than most of them do, and
 * give up that a burst is handled as fast as it is read.
 */
const TURN_MS = 50;

/**
 * Runs one listener over the notifications of its channel; what it has no time for waits in a bounded buffer.
 * Whatever a handler does (throw, reject, never settle) stays in here. Owned by the module, ends with `close()`.
 */
export class ListenerQueue implements Receiver {
  private readonly waiting: BoundedBuffer<Notification>;
  private running = 0;
  /** Since when each handler runs. */
  private readonly starts = new Set<{ at: number }>();
  private dropped = 0;
  /** Well, and not reported yet. */
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

  /** The application closes: `close()` follows. */
  complete(): void {
    // what runs may go on
  }

  /** Forgets what waits; resolves when the handlers that run have settled, or when `signal` is aborted. */
  async close(signal: AbortSignal): Promise<void> {
    this.discardWaiting();
    if (this.running === 0 || signal.aborted) return;
    const aborted = new Promise<void>((resolve) =>
      signal.addEventListener('abort', () => resolve(), { once: true }),
    );
    await Promise.race([this.whenIdle(), aborted]);
  }

  /** How long the handler that runs longest has been running; 0 when none does. */
  get longestRunMs(): number {
    const now = performance.now();
    return Math.max(0, ...Array.from(this.starts, ({ at }) => now - at));
  }

  get isRunning(): boolean {
    return this.running > 0;
  }

  /** Resolves when nothing runs here, and so nothing waits. */
  whenIdle(): Promise<void> {
    if (this.running === 0) return Promise.resolve();
    return new Promise((resolve) => this.idleWaiters.push(resolve));
  }

  private async run(first: Notification): Promise<void> {
    this.running++;
    if (this.running === 1) this.beginTurn();
    const start = { at: performance.now() };
    this.starts.add(start);
    await this.invoke(first); // a turn in any case, in which the rest of the chunk arrives
    for (;;) {
      start.at = performance.now();
      if (this.waiting.size > 0 && start.at - this.turnBegan > TURN_MS) await this.yieldTurn();
      const next = this.waiting.shift();
      if (next === undefined) break;
      const running = this.invoke(next);
      if (running) await running; // a method that returns no promise costs no turn
    }
    this.starts.delete(start);
    this.reportHandled();
    if (--this.running === 0) for (const resolve of this.idleWaiters.splice(0)) resolve();
  }

  /** Returns a promise, which never rejects, if the method does. */
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

  /** Unless the time went by without us: a process that is kept from running must not fall behind its socket as well. */
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
