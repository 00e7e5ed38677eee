import type { Observable, Subscription } from 'rxjs';
import type { Notification } from '../channels/notification.js';
import type { ReportEvent } from '../common/events.js';
import type { BufferLimits } from '../common/overflow.js';
import { BoundedBuffer } from './bounded-buffer.js';
import { bufferOverflow } from './listener-queue.js';

type Result<T> = IteratorResult<Notification<T>, undefined>;

interface Consumer<T> {
  resolve(result: Result<T>): void;
  reject(error: unknown): void;
}

/**
 * Notifications for `for await`. Subscribed from the start; notifications wait in a bounded buffer.
 * Owned by the caller of `pubsub.listen()`. Ends with `break`, `return()`, `await using`, an
 * overflow with policy `'error'`, or the application (waiting notifications are still returned
 * then).
 */
export class NotificationIterator<T>
  implements AsyncIterableIterator<Notification<T>, undefined>, AsyncDisposable
{
  private readonly waiting: BoundedBuffer<Notification<T>>;
  private readonly consumers: Consumer<T>[] = [];
  private readonly subscription: Subscription;
  private isDone = false;
  private failure: Error | undefined;
  private dropped = 0;

  constructor(
    source: Observable<Notification<T>>,
    private readonly buffer: BufferLimits,
    private readonly report: ReportEvent,
  ) {
    this.waiting = new BoundedBuffer(buffer);
    this.subscription = source.subscribe({
      next: (notification) => this.push(notification),
      complete: () => this.end(),
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result<T>> {
    const value = this.waiting.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.failure !== undefined) return this.throwFailure();
    if (this.isDone) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.consumers.push({ resolve, reject }));
  }

  return(): Promise<Result<T>> {
    this.waiting.clear();
    this.failure = undefined;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  private push(notification: Notification<T>): void {
    const consumer = this.consumers.shift();
    if (consumer) return consumer.resolve({ done: false, value: notification });
    if (this.waiting.push(notification)) return;
    const { channel } = notification;
    this.report({ type: 'dropped', channel, receiver: 'listen()', total: ++this.dropped });
    if (this.buffer.overflow === 'error') {
      this.failure = bufferOverflow(channel, this.buffer);
      this.end();
    }
  }

  private end(): void {
    this.isDone = true;
    this.subscription?.unsubscribe(); // unassigned when the source completes synchronously
    for (const consumer of this.consumers.splice(0)) consumer.resolve({ done: true, value: undefined });
  }

  /** Rejects once; then the iteration is over, as with a generator. */
  private throwFailure(): Promise<never> {
    const { failure } = this;
    this.failure = undefined;
    return Promise.reject(failure);
  }
}
