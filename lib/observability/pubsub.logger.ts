import { messageOf, stackOf, warnOf } from '../common/errors.js';
import type { PubSubEvent } from '../common/events.js';
import { escapeControls, escapeStack } from '../common/log-text.js';
import { counted, renderDelay } from '../common/wording.js';
import { RateLimiter, type Delay } from './rate-limiter.js';

/** The part of Nest's logger that this library uses. */
export interface LineLogger {
  log(message: string): void;
  warn(message: string): void;
  error(message: string, stack?: string): void;
}

type Level = keyof LineLogger;

interface Line {
  readonly level: Level;
  readonly text: string;
  /** Groups lines for the rate limit; lines without a kind are not limited. */
  readonly kind?: string;
  readonly stack?: string | undefined;
}

/** Writes the log lines of all events. Owned by the instance; ends with `close()`. */
export class PubSubLogger {
  private readonly limiter = new RateLimiter();

  constructor(private readonly logger: LineLogger) {}

  write(event: PubSubEvent): void {
    const line = renderEvent(event);
    if (line === undefined) return;
    if (line.kind === undefined) return this.writeLine(line);
    this.limiter.limit(line.kind, (delay) => this.writeLine(line, delay));
  }

  /** Writes the lines that the rate limit holds back. */
  flush(): void {
    this.limiter.flush();
  }

  close(): void {
    this.limiter.close();
  }

  /**
   * Never throws: an error of the application's logger must not stop a queue, and an error in a
   * timer ends the process.
   */
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

/** States the age of a late line: the problem may have been fixed since. */
const wordDelay = ({ ageMs, suppressed }: Delay): string =>
  `${renderDelay(ageMs)} ago${suppressed === 0 ? '' : `, and ${suppressed} more like this`}`;

/** Returns `undefined` for events without a log line. Long on purpose: a list of all events. */
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
        text: `The LISTEN connection is open, but notifications sent by this application do not arrive: ${event.reason}`,
      };
    case 'disconnected':
      return {
        level: 'warn',
        kind: event.type,
        text: `Lost the LISTEN connection, reconnecting: ${messageOf(event.error)}`,
      };
    case 'reconnecting': {
      const text = `Could not open the LISTEN connection, attempt ${event.attempt} in ${renderDelay(event.delayMs)}: ${messageOf(event.error)}`;
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
      const text = `@OnGap() method ${event.listener} failed: ${messageOf(event.error)}`;
      return { level: 'error', kind: `gap ${event.listener}`, text, stack: stackOf(event.error) };
    }
    case 'refused': {
      const text = `The server rejected LISTEN on channel "${event.channel}": ${messageOf(event.error)}`;
      return { level: 'error', kind: `refused ${event.channel}`, text };
    }
    case 'crowded': {
      const text = `Listening to ${event.count} channels, which is slow: the server compares each channel name with all others. Put the names of users or rows into the payload of one channel.`;
      return { level: 'warn', kind: event.type, text };
    }
    case 'rejected': {
      const text = `Rejected a notification on channel "${event.channel}": ${messageOf(event.error)}`;
      return { level: 'error', kind: `rejected ${event.channel}`, text };
    }
    case 'dropped': {
      const text = `Dropped a notification on channel "${event.channel}": ${event.receiver} is too slow (${event.total} dropped so far)`;
      return { level: 'warn', kind: `dropped ${event.receiver} ${event.channel}`, text };
    }
    case 'discarded': {
      const text = `Shutdown discarded ${counted(event.count, 'notification')} on channel "${event.channel}" that waited for ${event.receiver}`;
      return { level: 'warn', text };
    }
    case 'abandoned':
      return {
        level: 'warn',
        text: `Shutdown timed out after ${event.afterMs} ms; still running: ${event.listeners.join(', ')}`,
      };
    case 'claiming': {
      const text = `Handling stored notifications of ${listChannels(event.channels)}, up to ${event.concurrency} claims at once (the pool has ${event.poolSize} connections)`;
      return { level: 'log', text };
    }
    case 'reconnected': // covered by the line of `gap`
    case 'published':
    case 'stored':
    case 'publish-failed': // the caller has the error
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
          ? 'moved to the dead letters'
          : `will retry in ${renderDelay(event.delayMs)}`;
      const text = `Listener ${event.listener} failed on channel "${event.channel}", notification ${event.id}, attempt ${event.attempt}; ${fate}: ${messageOf(event.error)}`;
      const kind = `stored ${event.listener} ${event.channel} ${event.delayMs === undefined}`;
      return {
        level: event.delayMs === undefined ? 'error' : 'warn',
        kind,
        text,
        stack: stackOf(event.error),
      };
    }
    case 'interrupted': {
      const text = `Notification ${event.id} on channel "${event.channel}" was interrupted: the process or connection that handled it ended (interruptions so far: ${event.deaths}). It is now handled in a claim of its own.`;
      return { level: 'warn', kind: `interrupted ${event.channel}`, text };
    }
    case 'pauses-changed':
      return {
        level: 'log',
        text:
          event.channels.length === 0
            ? 'No channel is paused everywhere'
            : `Paused everywhere: ${listChannels(event.channels)}`,
      };
    case 'pauses-unknown': {
      const text = `Could not read which channels are paused everywhere; these pauses have no effect in this process: ${messageOf(event.error)}`;
      return { level: 'warn', text };
    }
    case 'expiry-failed': {
      const text = `Could not delete expired dead letters, will retry: ${messageOf(event.error)}`;
      return { level: 'warn', kind: 'expiry', text };
    }
    case 'unrecorded': {
      const text = `Could not write the row of this process into pgpubsub_process: ${messageOf(event.error)}`;
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
        text: `Shutdown failed: ${messageOf(event.error)}`,
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
      const text = `The class names of these listeners look minified: ${event.listeners.join(', ')}. Stored notifications refer to a listener by its name, which the next build may change. Set the option "name" of @Listener(), or keep class names when you bundle.`;
      return { level: 'warn', text };
    }
    case 'lazily-loaded': {
      const text = `These methods never run, because their module was loaded after the application started: ${event.listeners.join(', ')}. Import the module instead of loading it with LazyModuleLoader.`;
      return { level: 'warn', text };
    }
    default:
      return event satisfies never;
  }
}

/** Lists guards first, because the security of an application may depend on them. */
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
