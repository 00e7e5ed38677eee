import { messageOf, stackOf, warnOf } from '../common/errors.js';
import type { PubSubEvent } from '../common/events.js';
import { escapeControls, escapeStack } from '../common/log-text.js';
import { counted, renderDelay } from '../common/wording.js';
import { RateLimiter, type Delay } from './rate-limiter.js';

/** The part of Nest's logger that is used here. */
export interface LineLogger {
  log(message: string): void;
  warn(message: string): void;
  error(message: string, stack?: string): void;
}

type Level = keyof LineLogger;

interface Line {
  readonly level: Level;
  readonly text: string;
  /** Lines of one kind are limited in rate; without it each is written. */
  readonly kind?: string;
  readonly stack?: string | undefined;
}

/** Words what the parts report. The only place that logs; owned by the module, ends with `close()`. */
export class PubSubLogger {
  private readonly limiter = new RateLimiter();

  constructor(private readonly logger: LineLogger) {}

  write(event: PubSubEvent): void {
    const line = renderEvent(event);
    if (line === undefined) return;
    if (line.kind === undefined) return this.writeLine(line);
    this.limiter.limit(line.kind, (delay) => this.writeLine(line, delay));
  }

  /** Writes what is held back: a sum follows, or the end. */
  flush(): void {
    this.limiter.flush();
  }

  close(): void {
    this.limiter.close();
  }

  /** Never throws: the application's logger must not stop a queue, and what a timer throws ends the process. */
  private writeLine({ level, text, stack }: Line, delay?: Delay): void {
    const line = escapeControls(text);
    const message = delay === undefined ? line : `${line} (${wordDelay(delay)})`;
    try {
      if (level === 'error' && stack !== undefined) this.logger.error(message, escapeStack(stack));
      else this.logger[level](message);
    } catch (error) {
      warnOf(error);
    }
  }
}

/** It may be over by now, or mended: its time is not that of the log. */
const wordDelay = ({ ageMs, suppressed }: Delay): string =>
  `${renderDelay(ageMs)} ago${suppressed === 0 ? '' : `, and ${suppressed} more like this`}`;

/** `undefined`: nothing to say. Longer than functions should be: a list, in which one looks up an event. */
function renderEvent(event: PubSubEvent): Line | undefined {
  switch (event.type) {
    case 'listening':
      return {
        level: 'log',
        kind: event.type,
        text: `Listening to ${listChannels(event.channels)} (backend ${event.processId})`,
      };
    case 'deafened':
      return {
        level: 'warn',
        kind: event.type,
        text: `Connected, but what this application sends does not arrive: ${event.reason}`,
      };
    case 'disconnected':
      return {
        level: 'warn',
        kind: event.type,
        text: `Lost the LISTEN connection, reconnecting: ${messageOf(event.error)}`,
      };
    case 'reconnecting': {
      const text = `The LISTEN connection is not open, attempt ${event.attempt} in ${renderDelay(event.delayMs)}: ${messageOf(event.error)}`;
      return { level: 'warn', kind: event.type, text };
    }
    case 'gap':
      return {
        level: 'log',
        kind: event.type,
        text: `Listening again; broadcasts may have been missed for ${gapSeconds(event.gap)} s`,
      };
    case 'failed': {
      const text = `Listener ${event.listener} failed on channel "${event.channel}": ${messageOf(event.error)}`;
      return {
        level: 'error',
        kind: `failed ${event.listener} ${event.channel}`,
        text,
        stack: stackOf(event.error),
      };
    }
    case 'filter-failed': {
      const text = `Exception filter of listener ${event.listener} failed on channel "${event.channel}": ${messageOf(event.error)}`;
      const kind = `filter ${event.listener} ${event.channel}`;
      return { level: 'error', kind, text, stack: stackOf(event.error) };
    }
    case 'gap-handler-failed': {
      const text = `@OnGap() ${event.listener} failed: ${messageOf(event.error)}`;
      return { level: 'error', kind: `gap ${event.listener}`, text, stack: stackOf(event.error) };
    }
    case 'refused': {
      const text = `The server refused to LISTEN to channel "${event.channel}": ${messageOf(event.error)}`;
      return { level: 'error', kind: `refused ${event.channel}`, text };
    }
    case 'crowded': {
      const text = `Listening to ${event.count} channels: the server compares each name with all others. Put names of users or rows into the payload of one channel`;
      return { level: 'warn', kind: event.type, text };
    }
    case 'rejected': {
      const text = `Refused a notification of channel "${event.channel}": ${messageOf(event.error)}`;
      return { level: 'error', kind: `rejected ${event.channel}`, text };
    }
    case 'dropped': {
      const text = `Dropped a notification of channel "${event.channel}": ${event.receiver} is too slow (${event.total} so far)`;
      return { level: 'warn', kind: `dropped ${event.receiver} ${event.channel}`, text };
    }
    case 'discarded': {
      const text = `Closing: ${event.count} notifications of channel "${event.channel}" were still waiting for ${event.receiver}`;
      return { level: 'warn', text };
    }
    case 'abandoned':
      return {
        level: 'warn',
        text: `Closing: still running after ${event.afterMs} ms: ${event.listeners.join(', ')}`,
      };
    case 'claiming': {
      const text = `Handling stored notifications of ${listChannels(event.channels)}, up to ${event.concurrency} claims at once (the pool has ${event.poolSize} connections)`;
      return { level: 'log', text };
    }
    case 'reconnected': // the line about its gap says it
    case 'published':
    case 'stored':
    case 'publish-failed': // whoever called has the error
    case 'received':
    case 'handled':
    case 'claimed':
      return undefined;
    case 'claim-recovered':
      return {
        level: 'log',
        kind: `recovered ${event.channel}`,
        text: `Claims on channel "${event.channel}" succeed again`,
      };
    case 'claim-failed': {
      const text = `Claim on channel "${event.channel}" failed, will retry: ${messageOf(event.error)}`;
      return { level: 'error', kind: `claim ${event.channel}`, text };
    }
    case 'stored-failed': {
      const fate =
        event.delayMs === undefined
          ? 'it is a dead letter now'
          : `it is tried again in ${renderDelay(event.delayMs)}`;
      const text = `Listener ${event.listener} failed with notification ${event.id} of channel "${event.channel}" (attempt ${event.attempt}), ${fate}: ${messageOf(event.error)}`;
      const kind = `stored ${event.listener} ${event.channel} ${event.delayMs === undefined}`;
      return {
        level: event.delayMs === undefined ? 'error' : 'warn',
        kind,
        text,
        stack: stackOf(event.error),
      };
    }
    case 'interrupted': {
      const text = `The process or connection that handled notification ${event.id} of channel "${event.channel}" has ended meanwhile (${event.deaths} so far): it is handled alone now`;
      return { level: 'warn', kind: `interrupted ${event.channel}`, text };
    }
    case 'pauses-changed':
      return {
        level: 'log',
        text:
          event.channels.length === 0
            ? 'No channel is paused everywhere any more'
            : `Paused everywhere: ${listChannels(event.channels)}`,
      };
    case 'pauses-unknown': {
      const text = `Pauses of all processes have no effect here, because they could not be read: ${messageOf(event.error)}`;
      return { level: 'warn', text };
    }
    case 'expiry-failed': {
      const text = `Expired dead letters could not be deleted, will retry: ${messageOf(event.error)}`;
      return { level: 'warn', kind: 'expiry', text };
    }
    case 'unrecorded': {
      const text = `This process could not write its row in pgpubsub_process: ${messageOf(event.error)}`;
      return { level: 'warn', kind: 'unrecorded', text };
    }
    case 'retry-refused': {
      const letters = counted(event.count, 'dead letter');
      const text = `Did not retry ${letters} of channel "${event.channel}": no running process has the listener ${event.listener}. Start a process that has it and retry again, or discard the letters.`;
      return { level: 'warn', kind: `retry ${event.listener} ${event.channel}`, text };
    }
    case 'close-failed':
      return {
        level: 'error',
        text: `Closing failed: ${messageOf(event.error)}`,
        stack: stackOf(event.error),
      };
    case 'drifted':
      return { level: 'warn', text: messageOf(event.error) };
    case 'schema-warned':
      return { level: 'warn', text: event.warning };
    case 'duplicated': {
      const text = `${event.listener} runs twice for each notification: its class is provided more than once. Provide it in one module and export it.`;
      return { level: 'warn', text };
    }
    case 'enhancers-skipped': {
      const text = `These global enhancers do not run for notifications: ${listEnhancers(event)}. Set the option "globalEnhancers" to true to run them, or to false to omit this line.`;
      return { level: 'log', text };
    }
    case 'names-minified': {
      const text = `The class names of these listeners look minified: ${event.listeners.join(', ')}. Stored notifications remember a listener by its name, and the next build may change it: set the option "name" of @Listener(), or keep class names when you bundle.`;
      return { level: 'warn', text };
    }
    case 'lazily-loaded': {
      const text = `These methods never run, because their module was loaded after the start: ${event.listeners.join(', ')}. Import the module of a listener, in place of loading it with LazyModuleLoader.`;
      return { level: 'warn', text };
    }
    default:
      return event satisfies never;
  }
}

/** Guards come first: an application may rely on them. */
const listEnhancers = (skipped: Extract<PubSubEvent, { type: 'enhancers-skipped' }>): string =>
  (['guards', 'interceptors', 'pipes', 'filters'] as const)
    .filter((kind) => skipped[kind].length > 0)
    .map((kind) => `${kind} ${skipped[kind].join(', ')}`)
    .join('; ');

const gapSeconds = ({ from, to }: { from: Date; to: Date }): string =>
  ((to.getTime() - from.getTime()) / 1_000).toFixed(1);

const listChannels = (channels: readonly string[]): string =>
  channels.length === 0
    ? 'no channel yet'
    : `${channels.length === 1 ? 'channel' : `${channels.length} channels:`} ${abridge(channels)}`;

const abridge = (channels: readonly string[]): string =>
  channels.length > 10 ? `${channels.slice(0, 10).join(', ')}, …` : channels.join(', ');
