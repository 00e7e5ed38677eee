import { ChannelDecoder } from '../channels/channel.decoder.js';
import { plainChannel, type ChannelDefinition } from '../channels/channel.definition.js';
import type { Notification } from '../channels/notification.js';
import type { PubSubEvent } from '../common/events.js';
import type { JsonObject } from '../common/json.js';
import type { Instance } from '../instance/instance.js';
import type { OutgoingBroadcast, OutgoingStored } from '../publishing/outgoing.js';

/** A notification that the application has sent. */
export interface SentNotification<T = unknown> {
  readonly channel: string;
  /** The payload as a receiver gets it: through JSON and the codec of the channel. */
  readonly payload: T;
  readonly context: JsonObject;
  /** The options of `notify()` for exactly-once channels. */
  readonly key: string | null;
  readonly availableAt: Date | null;
  readonly delayMs: number | null;
}

const NO_CONTEXT: JsonObject = Object.freeze({});

/** Records notifications and failures of an instance, which owns the record. */
export class DeliveryRecord {
  private readonly watched = new Set<string>();
  private readonly failures: unknown[] = [];
  private messages: (OutgoingBroadcast | OutgoingStored)[] = [];
  received: Notification[] = [];

  constructor(private readonly instance: Instance) {
    instance.events.subscribe((event) => this.note(event));
  }

  /** Records the notifications of this channel from now on. */
  watch(channel: string): void {
    if (this.watched.has(channel)) return;
    this.watched.add(channel);
    const notifications = this.instance.dispatcher.observe(this.definitionOf(channel));
    notifications.subscribe((notification) => this.received.push(notification));
  }

  addSent(message: OutgoingBroadcast | OutgoingStored): void {
    this.messages.push(message);
  }

  /** Decodes on reading, so that an error of the codec does not fail the sender. */
  get sent(): SentNotification[] {
    return this.messages.map((message) =>
      'text' in message ? this.broadcast(message) : this.stored(message),
    );
  }

  /** Returns the failures since the last call. */
  takeFailures(): unknown[] {
    return this.failures.splice(0);
  }

  clear(): void {
    this.received = [];
    this.messages = [];
    this.takeFailures();
  }

  private note(event: PubSubEvent): void {
    if (event.type === 'failed' || event.type === 'gap-handler-failed' || event.type === 'rejected')
      this.failures.push(event.error);
  }

  private broadcast({ channel, text }: OutgoingBroadcast): SentNotification {
    const { payload, context } = this.decoderOf(channel).decodeText(text);
    return { channel, payload, context, key: null, availableAt: null, delayMs: null };
  }

  private stored({ channel, payload, context, key, availableAt, delayMs }: OutgoingStored): SentNotification {
    return {
      channel,
      payload: this.decoderOf(channel).decodeJson(payload),
      context: context === null ? NO_CONTEXT : (JSON.parse(context) as JsonObject), // written by encodeContext()
      key,
      availableAt,
      delayMs,
    };
  }

  /** Ignores entities, whose changes come from triggers and not from `notify()`. */
  private decoderOf(channel: string): ChannelDecoder {
    return new ChannelDecoder(this.definitionOf(channel));
  }

  private definitionOf(channel: string): ChannelDefinition {
    return this.instance.registry.find(channel) ?? plainChannel(channel);
  }
}
