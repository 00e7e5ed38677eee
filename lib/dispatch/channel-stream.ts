import type { DecodedText } from '../channels/entity-source.js';
import type { RegisteredChannel } from '../channels/registered-channel.js';
import type { Notification, RawNotification } from '../channels/notification.js';
import type { ReportEvent } from '../common/events.js';
import type { BufferLimits } from '../common/overflow.js';
import { BoundedBuffer } from './bounded-buffer.js';
import type { NotificationFactory } from './broadcast-notification.js';

/** Receives the notifications of a channel, until the application closes. Must not throw. */
export interface Receiver {
  next(notification: Notification): void;
  complete(): void;
}

export interface StreamOptions {
  readonly channel: RegisteredChannel;
  readonly createNotification: NotificationFactory;
  readonly buffer: BufferLimits;
  readonly report: ReportEvent;
}

type MaybeLater<T> = T | Promise<T>;

/** Finishes the decoding of a notification; returns `undefined`, after a report, if it failed. */
type Decoding = () => MaybeLater<Notification | undefined>;

/** The number of waiting notifications that are decoded at once. */
const MAX_BATCH = 1_000;

/** The slow steps that notifications wait for, as reports name them. */
const SCHEMA = 'the schema of the channel';
const ROWS = 'the loading of its rows';

/**
 * One channel of an instance: decodes each notification once, and passes it to all receivers in the
 * order of arrival. Created by the dispatcher with the first receiver; ends with the last.
 */
export class ChannelStream {
  readonly name: string;
  /** Replaced by every change, so that a receiver may leave during a delivery. */
  private receivers: readonly Receiver[] = [];
  /** The number of notifications that have arrived since the last report. */
  fresh = 0;
  /** Settles when no notification is being decoded. Others wait until then, to keep the order. */
  private decoding: Promise<void> | undefined;
  private slowPart = SCHEMA;
  private dropped = 0;
  private readonly waiting: BoundedBuffer<RawNotification>;
  /** The number of notifications that are decoded ahead; they still count in the buffer. */
  private decodedAhead = 0;

  constructor(private readonly options: StreamOptions) {
    this.name = options.channel.name;
    this.waiting = new BoundedBuffer(options.buffer);
  }

  get channel(): RegisteredChannel {
    return this.options.channel;
  }

  get isEmpty(): boolean {
    return this.receivers.length === 0;
  }

  add(receiver: Receiver): void {
    this.receivers = [...this.receivers, receiver];
  }

  remove(receiver: Receiver): void {
    this.receivers = this.receivers.filter((one) => one !== receiver);
  }

  complete(): void {
    const { receivers } = this;
    this.receivers = [];
    for (const receiver of receivers) receiver.complete();
  }

  accept(raw: RawNotification): void {
    if (this.decoding) return this.enqueue(raw);
    const decoded = this.decode(raw);
    if (decoded instanceof Promise) this.decoding = this.acceptInOrder(decoded);
    else if (decoded) this.deliver(decoded);
  }

  /** Reports the notifications of one chunk of the socket. */
  reportFresh(): void {
    const count = this.fresh;
    this.fresh = 0;
    this.options.report({ type: 'received', channel: this.name, count });
  }

  /** Resolves when every accepted notification is decoded; `undefined` if all are. */
  get decoded(): Promise<void> | undefined {
    return this.decoding;
  }

  private deliver(notification: Notification): void {
    for (const receiver of this.receivers) receiver.next(notification);
  }

  /** Delivers in order while schemas are asynchronous or rows are loaded; others wait. */
  private async acceptInOrder(first: Promise<Notification | undefined>): Promise<void> {
    let batch: readonly Decoding[] = [() => first];
    while (batch.length > 0) {
      this.decodedAhead = batch.length;
      for (const finish of batch) {
        this.decodedAhead--;
        const notification = await finish();
        if (notification) this.deliver(notification);
      }
      batch = this.decodeWaiting();
    }
    this.decoding = undefined;
  }

  /** Decodes waiting notifications together, so that one query loads the rows of many. */
  private decodeWaiting(): Decoding[] {
    const batch: Decoding[] = [];
    while (batch.length < MAX_BATCH) {
      const raw = this.waiting.shift();
      if (raw === undefined) break;
      batch.push(this.decodeAhead(raw));
    }
    return batch;
  }

  private decodeAhead(raw: RawNotification): Decoding {
    try {
      const decoded = this.options.channel.decoder.decode(raw.text);
      if (decoded instanceof Promise) decoded.catch(() => undefined); // reported in its turn
      return () => this.finish(raw, decoded);
    } catch (error) {
      return () => this.reject(error);
    }
  }

  private enqueue(raw: RawNotification): void {
    if (this.waiting.push(raw, this.decodedAhead)) return;
    this.options.report({
      type: 'dropped',
      channel: this.name,
      receiver: this.slowPart,
      total: ++this.dropped,
    });
  }

  private decode(raw: RawNotification): ReturnType<Decoding> {
    try {
      return this.finish(raw, this.options.channel.decoder.decode(raw.text));
    } catch (error) {
      return this.reject(error);
    }
  }

  private finish(raw: RawNotification, decoded: MaybeLater<DecodedText>): ReturnType<Decoding> {
    try {
      const isLater = decoded instanceof Promise;
      this.slowPart = isLater ? ROWS : SCHEMA;
      const notification = isLater ? this.validateLater(raw, decoded) : this.validate(raw, decoded);
      if (!(notification instanceof Promise)) return notification;
      return notification.catch((error: unknown) => this.reject(error));
    } catch (error) {
      return this.reject(error);
    }
  }

  private async validateLater(raw: RawNotification, later: Promise<DecodedText>): Promise<Notification> {
    const decoded = await later;
    this.slowPart = SCHEMA;
    return this.validate(raw, decoded);
  }

  private validate(raw: RawNotification, { payload, context }: DecodedText): MaybeLater<Notification> {
    const { channel, createNotification } = this.options;
    const valid = channel.decoder.validate(payload);
    if (valid instanceof Promise)
      return valid.then((later: unknown) => createNotification(this.name, later, context, raw.processId));
    return createNotification(this.name, valid, context, raw.processId);
  }

  private reject(error: unknown): undefined {
    this.options.report({ type: 'rejected', channel: this.name, error });
    return undefined;
  }
}
