import { Observable, filter, merge } from 'rxjs';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { ChannelRegistry, SelectedChannel } from '../channels/channel.registry.js';
import type { Notification, RawNotification } from '../channels/notification.js';
import type { ReportEvent } from '../common/events.js';
import type { BufferLimits } from '../common/overflow.js';
import type { NotificationFactory } from './broadcast-notification.js';
import { ChannelStream, type Receiver } from './channel-stream.js';

export interface DispatcherOptions {
  /** Called when a channel has its first receiver. */
  readonly listen: (channel: string) => void;
  /** Called when a channel has lost its last receiver. */
  readonly unlisten: (channel: string) => void;
  readonly channels: Pick<ChannelRegistry, 'acquire' | 'release'>;
  readonly createNotification: NotificationFactory;
  readonly buffer: BufferLimits;
  readonly report: ReportEvent;
}

/**
 * Passes notifications from the connection to the receivers: takes them off pg's stack, and gives
 * each channel one stream, shared by its listeners, observers and iterators. Owned by the module;
 * ends with `close()`.
 */
export class Dispatcher {
  private readonly streams = new Map<string, ChannelStream>();
  private incoming: RawNotification[] = [];
  private isClosed = false;
  private readonly drain = () => this.forward();

  constructor(private readonly options: DispatcherOptions) {}

  /**
   * Enqueues a notification. Called on pg's stack, where an error would leave the message in the
   * parser's buffer and deliver it again indefinitely. The rest happens in a microtask, before the
   * next chunk is read from the socket: the list never holds more than one chunk.
   */
  receive(raw: RawNotification): void {
    if (this.incoming.push(raw) === 1) queueMicrotask(this.drain);
  }

  /**
   * Returns a hot Observable: LISTENs with the first subscriber of a channel, UNLISTENs with the
   * last, and completes at `close()`.
   */
  observe(definition: ChannelDefinition): Observable<Notification> {
    return new Observable((subscriber) => this.attach(definition, subscriber));
  }

  /**
   * Returns the broadcasts of these channels, of a shared one only changes of selected entities.
   */
  observeAll(selected: readonly SelectedChannel[]): Observable<Notification> {
    const observed = selected.map(({ definition, isAddressed }) => {
      const all = this.observe(definition);
      return isAddressed === undefined ? all : all.pipe(filter(({ payload }) => isAddressed(payload)));
    });
    return merge(...observed);
  }

  /** Passes the notifications of a channel on, until the returned function is called. */
  attach(definition: ChannelDefinition, receiver: Receiver): () => void {
    if (this.isClosed) {
      receiver.complete();
      return () => undefined;
    }
    const stream = this.streams.get(definition.name) ?? this.createStream(definition);
    const isFirst = stream.isEmpty;
    stream.add(receiver);
    if (isFirst) this.options.listen(stream.name);
    return () => this.leave(stream, receiver);
  }

  /** One promise per stream that waits for a schema or for rows. */
  get decoding(): Promise<void>[] {
    return [...this.streams.values()].flatMap(({ decoded }) => decoded ?? []);
  }

  /** Drops further notifications and completes all receivers, which ends responses they feed. */
  close(): void {
    this.isClosed = true;
    this.incoming = [];
    for (const stream of this.streams.values()) stream.complete();
    this.streams.clear();
  }

  private forward(): void {
    const batch = this.incoming;
    this.incoming = [];
    const reached: ChannelStream[] = [];
    let stream: ChannelStream | undefined;
    for (const raw of batch) {
      // Most chunks are of one channel, and comparing a name is faster than hashing it.
      if (stream?.name !== raw.channel || stream.isEmpty) stream = this.streams.get(raw.channel);
      if (stream === undefined) continue;
      if (stream.fresh++ === 0) reached.push(stream);
      stream.accept(raw);
    }
    for (const one of reached) one.reportFresh();
  }

  private createStream(definition: ChannelDefinition): ChannelStream {
    const { channels, createNotification, buffer, report } = this.options;
    const channel = channels.acquire(definition);
    const stream = new ChannelStream({ channel, createNotification, buffer, report });
    this.streams.set(stream.name, stream);
    return stream;
  }

  private leave(stream: ChannelStream, receiver: Receiver): void {
    if (stream.isEmpty) return;
    stream.remove(receiver);
    if (!stream.isEmpty) return;
    this.streams.delete(stream.name);
    this.options.channels.release(stream.channel);
    this.options.unlisten(stream.name);
  }
}
