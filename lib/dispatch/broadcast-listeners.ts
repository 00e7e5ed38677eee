import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { ReportEvent } from '../common/events.js';
import type { BufferLimits } from '../common/overflow.js';
import type { Dispatcher } from './dispatcher.js';
import { ListenerQueue, type ListenerQueueOptions } from './listener-queue.js';

export interface BroadcastListener extends Pick<ListenerQueueOptions, 'concurrency' | 'accepts' | 'invoke'> {
  readonly name: string;
  readonly channel: ChannelDefinition;
}

export interface BroadcastListenersOptions {
  readonly dispatcher: Dispatcher;
  /** Listens to a channel before the channels that are only observed. */
  readonly listenFirst: (channel: string) => void;
  readonly buffer: BufferLimits;
  readonly report: ReportEvent;
}

/** The broadcast listeners of an instance, with a queue each. Ends with `close()`. */
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

  /** The running listeners, with their longest runs. */
  get running(): { readonly channel: string; readonly listener: string; readonly forMs: number }[] {
    return this.busy.map(({ channel, name: listener, longestRunMs: forMs }) => ({
      channel,
      listener,
      forMs,
    }));
  }

  /** One promise per running queue, which resolves when it is idle. */
  get pending(): Promise<void>[] {
    return this.busy.map((queue) => queue.whenIdle());
  }

  /** Drops waiting notifications; resolves when handlers have ended, or the signal is aborted. */
  async close(signal: AbortSignal): Promise<void> {
    await Promise.all(this.queues.map((queue) => queue.close(signal)));
  }

  private get busy(): ListenerQueue[] {
    return this.queues.filter(({ isRunning }) => isRunning);
  }
}
