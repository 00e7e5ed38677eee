import { Injectable, type Type } from '@nestjs/common';
import { Listener, type ChannelLike, type ListenerOptions, type Notification } from 'nestjs-pgpubsub';
import { Mailbox } from './mailbox.js';

export interface Received<T = unknown> {
  readonly payload: T;
  readonly notification: Notification<T>;
}

/** A provider class with one listener that puts its notifications into a mailbox. */
export function collector<T = unknown>(
  channel: ChannelLike<T>,
  options: ListenerOptions = {},
): { provider: Type; received: Mailbox<Received<T>> } {
  const received = new Mailbox<Received<T>>();

  @Injectable()
  class Collector {
    @Listener(channel, options)
    receive(payload: T, notification: Notification<T>) {
      received.push({ payload, notification });
    }
  }
  return { provider: Collector, received };
}

export const payloadsOf = <T>(received: readonly Received<T>[]): T[] =>
  received.map(({ payload }) => payload);
