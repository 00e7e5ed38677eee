import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { ReportEvent } from '../common/events.js';
import type { BufferLimits } from '../common/overflow.js';
import type { Dispatcher } from './dispatcher.js';
import { ListenerQueue, type ListenerQueueOptions } from './listener-queue.js';

/** A listener of a broadcast channel. */
export interface BroadcastListener extends Pick<ListenerQueueOptions, 'concurrency' | 'accepts' | 'invoke'> {
  readonly name: string;
  readonly channel: ChannelDefinition;
}

export interface BroadcastListenersOptions {
  readonly dispatcher: Dispatcher;
  /** Puts a channel before those that are only observed: it is listened to first. */
  readonly listenFirst: (channel: string) => void;
  readonly buffer: BufferLimits;
  readonly report: ReportEvent;
}

/** The listeners of broadcasts of an instance, with a queue each. Owned by the instance; ends with `close()`. */
export class BroadcastListeners {
  private readonly queues: ListenerQueue[] = [];

  constructor(private readonly options: BroadcastListenersOptions) {}

  attach({ name, channel, concurrency, accepts, invoke }: BroadcastListener): void {
    const { dispatcher, listenFirst, buffer, report } = this.options;
    const queue = new ListenerQueue({
      channel: channel.name,
      listener: name,
      concurrency,
      accepts,
      invoke,
      buffer,
      report,
    });
    this.queues.push(queue);
    listenFirst(channel.name);
    dispatcher.attach(channel, queue);
  }

  /** The longest run of each listener that runs now. */
  get running(): { readonly channel: string; readonly listener: string; readonly forMs: number }[] {
    return this.busy.map(({ channel, name: listener, longestRunMs: forMs }) => ({
      channel,
      listener,
      forMs,
    }));
  }

  /** Resolve when the queues that run now are idle. Empty when none runs. */
  get pending(): Promise<void>[] {
    return this.busy.map((queue) => queue.whenIdle());
  }

  /** Drops what waits; resolves when running handlers have ended, or when the signal is aborted. */
  async close(signal: AbortSignal): Promise<void> {
    await Promise.all(this.queues.map((queue) => queue.close(signal)));
  }

  private get busy(): ListenerQueue[] {
    return this.queues.filter(({ isRunning }) => isRunning);
  }
}
