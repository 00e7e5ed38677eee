import { Subject } from 'rxjs';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { DecodedText, TextDecoder } from '../channels/entity-source.js';
import type { Notification } from '../channels/notification.js';
import { decodePayload, validatePayload } from '../channels/payload.codec.js';
import { decodeWire } from '../channels/wire.codec.js';
import type { Report } from '../common/facts.js';
import type { BufferLimits } from '../common/overflow.js';
import { BoundedBuffer } from './bounded-buffer.js';
import type { NotificationFactory } from './broadcast-notification.js';

/** A notification as the connection hands it over. */
export interface IncomingNotification {
  readonly channel: string;
  readonly text: string;
  readonly processId: number;
}

export interface StreamOptions {
  readonly channel: string;
  /** Looked up for each notification: a channel may be defined after someone began to listen to its name. */
  readonly definition: () => ChannelDefinition;
  /** How texts are decoded that come from triggers; `undefined` for other channels. */
  readonly decoder: () => TextDecoder | undefined;
  readonly createNotification: NotificationFactory;
  readonly buffer: BufferLimits;
  readonly report: Report;
}

/** Ends the decoding of a notification whose text is decoded; `undefined`, after a report, for what cannot be delivered. */
type Decoding = () => Promise<Notification | undefined> | Notification | undefined;

/** The number of waiting notifications that are decoded at once. */
const MAX_BATCH = 1_000;

/** What notifications may have to wait for, as reports name it. */
const SCHEMA = 'the schema of the channel';
const ROWS = 'the loading of its rows';

/**
 * One channel of an instance: decodes what arrives, once, and passes it to everyone through one subject, in the
 * order of arrival. Created by the dispatcher with the first receiver, ended with the last.
 */
export class ChannelStream {
  readonly subject = new Subject<Notification>();
  receivers = 0;
  /** What has arrived and is not reported yet. */
  fresh = 0;
  /** What arrives meanwhile waits, so that the order is kept. */
  private decoding: Promise<void> | undefined;
  private slowPart = SCHEMA;
  private dropped = 0;
  private readonly waiting: BoundedBuffer<IncomingNotification>;

  constructor(private readonly options: StreamOptions) {
    this.waiting = new BoundedBuffer(options.buffer);
  }

  accept(incoming: IncomingNotification): void {
    if (this.decoding) return this.hold(incoming);
    const decoded = this.decode(incoming);
    if (decoded instanceof Promise) this.decoding = this.acceptInOrder(decoded);
    else if (decoded) this.subject.next(decoded);
  }

  /** Once per chunk of the socket. */
  reportFresh(): void {
    const count = this.fresh;
    this.fresh = 0;
    this.options.report({ type: 'received', channel: this.options.channel, count });
  }

  /** Resolves when everything accepted by now has been decoded; `undefined`: it has. */
  get decoded(): Promise<void> | undefined {
    return this.decoding;
  }

  /** For schemas that validate asynchronously, and rows that are loaded: one after the other, the rest waits. */
  private async acceptInOrder(first: Promise<Notification | undefined>): Promise<void> {
    let batch: readonly Decoding[] = [() => first];
    while (batch.length > 0) {
      for (const finish of batch) {
        const notification = await finish();
        if (notification) this.subject.next(notification);
      }
      batch = this.decodeWaiting();
    }
    this.decoding = undefined;
  }

  /** Decodes what waits at once, so that the rows of many are loaded by one query; it is passed on in order. */
  private decodeWaiting(): Decoding[] {
    const batch: Decoding[] = [];
    while (batch.length < MAX_BATCH) {
      const incoming = this.waiting.shift();
      if (incoming === undefined) break;
      batch.push(this.decodeAhead(incoming));
    }
    return batch;
  }

  private decodeAhead(incoming: IncomingNotification): Decoding {
    try {
      const text = this.decodeText(incoming.text);
      if (text instanceof Promise) text.catch(() => undefined); // reported when its turn comes
      return () => this.finish(incoming, text);
    } catch (error) {
      return () => this.reject(incoming.channel, error);
    }
  }

  private hold(incoming: IncomingNotification): void {
    if (this.waiting.push(incoming)) return;
    this.options.report({
      type: 'dropped',
      channel: incoming.channel,
      receiver: this.slowPart,
      total: ++this.dropped,
    });
  }

  /** `undefined`, after a report, for what cannot be delivered. */
  private decode(incoming: IncomingNotification): ReturnType<Decoding> {
    try {
      return this.finish(incoming, this.decodeText(incoming.text));
    } catch (error) {
      return this.reject(incoming.channel, error);
    }
  }

  private finish(
    incoming: IncomingNotification,
    text: DecodedText | Promise<DecodedText>,
  ): ReturnType<Decoding> {
    try {
      this.slowPart = text instanceof Promise ? ROWS : SCHEMA;
      const notification =
        text instanceof Promise ? this.validateLater(incoming, text) : this.validate(incoming, text);
      if (!(notification instanceof Promise)) return notification;
      return notification.catch((error: unknown) => this.reject(incoming.channel, error));
    } catch (error) {
      return this.reject(incoming.channel, error);
    }
  }

  private decodeText(text: string): DecodedText | Promise<DecodedText> {
    const decoder = this.options.decoder();
    if (decoder) return decoder(text);
    const { payload, context } = decodeWire(text);
    return { payload: decodePayload(this.options.definition(), payload), context };
  }

  private async validateLater(
    incoming: IncomingNotification,
    decoded: Promise<DecodedText>,
  ): Promise<Notification> {
    const text = await decoded;
    this.slowPart = SCHEMA;
    return this.validate(incoming, text);
  }

  private validate(
    { channel, processId }: IncomingNotification,
    { payload, context }: DecodedText,
  ): Promise<Notification> | Notification {
    const create = (accepted: unknown) =>
      this.options.createNotification(channel, accepted, context, processId);
    const accepted = validatePayload(this.options.definition(), payload);
    return accepted instanceof Promise ? accepted.then(create) : create(accepted);
  }

  private reject(channel: string, error: unknown): undefined {
    this.options.report({ type: 'rejected', channel, error });
    return undefined;
  }
}
