import { Observable } from 'rxjs';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { TextDecoder } from '../channels/entity-source.js';
import type { Notification } from '../channels/notification.js';
import type { Report } from '../common/facts.js';
import type { BufferLimits } from '../common/overflow.js';
import type { NotificationFactory } from './broadcast-notification.js';
import { ChannelStream, type IncomingNotification } from './channel-stream.js';

export interface DispatcherOptions {
  /** A channel has its first receiver. */
  readonly listen: (channel: string) => void;
  /** A channel has lost its last receiver. */
  readonly unlisten: (channel: string) => void;
  /** The definition now known by a name. */
  readonly find: (channel: string) => ChannelDefinition | undefined;
  /** How its texts are decoded, if they come from triggers. */
  readonly decoderOf: (channel: string) => TextDecoder | undefined;
  readonly createNotification: NotificationFactory;
  readonly buffer: BufferLimits;
  readonly report: Report;
}

/**
 * From the connection to the receivers: takes notifications off pg's stack, and gives each channel one subject,
 * shared by its listeners, observers and iterators. Owned by the module; ends with `close()`.
 */
export class Dispatcher {
  private readonly streams = new Map<string, ChannelStream>();
  private incoming: IncomingNotification[] = [];
  private isClosed = false;

  constructor(private readonly options: DispatcherOptions) {}

  /**
   * Puts a notification aside. It is called on pg's stack, where a throw would leave the message in the parser's
   * buffer and deliver it again, for ever; everything else happens in a microtask, which runs before the next
   * chunk is read from the socket: this list never holds more than one chunk.
   */
  receive(notification: IncomingNotification): void {
    if (this.incoming.push(notification) === 1) queueMicrotask(() => this.drain());
  }

  /** Hot: LISTEN with the first subscriber of a channel, UNLISTEN with the last; completes at `close()`. */
  observe(definition: ChannelDefinition): Observable<Notification> {
    return new Observable((subscriber) => {
      if (this.isClosed) return subscriber.complete();
      const stream = this.join(definition);
      const subscription = stream.subject.subscribe(subscriber);
      return () => {
        subscription.unsubscribe();
        this.leave(definition.name, stream);
      };
    });
  }

  /** What is being decoded: a schema or a row that is loaded may take a while. Empty when nothing is. */
  get decoding(): Promise<void>[] {
    return [...this.streams.values()].flatMap(({ decoded }) => decoded ?? []);
  }

  /** Takes nothing more and completes every subject, which ends the responses that are fed by them. */
  close(): void {
    this.isClosed = true;
    this.incoming = [];
    for (const { subject } of this.streams.values()) subject.complete();
  }

  private drain(): void {
    const batch = this.incoming;
    this.incoming = [];
    const reached = new Set<ChannelStream>();
    for (const notification of batch) {
      const stream = this.streams.get(notification.channel);
      if (stream === undefined) continue;
      if (stream.fresh++ === 0) reached.add(stream);
      stream.accept(notification);
    }
    for (const stream of reached) stream.reportFresh();
  }

  private join(definition: ChannelDefinition): ChannelStream {
    const { name } = definition;
    const stream = this.streams.get(name) ?? this.createStream(definition);
    if (stream.receivers++ === 0) this.options.listen(name);
    return stream;
  }

  private createStream(definition: ChannelDefinition): ChannelStream {
    const { find, decoderOf, createNotification, buffer, report } = this.options;
    const current = () => find(definition.name) ?? definition;
    const stream = new ChannelStream({
      channel: definition.name,
      definition: current,
      decoder: () => decoderOf(definition.name),
      createNotification,
      buffer,
      report,
    });
    this.streams.set(definition.name, stream);
    return stream;
  }

  private leave(name: string, stream: ChannelStream): void {
    if (--stream.receivers > 0) return;
    this.streams.delete(name);
    this.options.unlisten(name);
  }
}
