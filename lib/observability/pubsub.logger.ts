import { messageOf, stackOf, warnOf } from '../common/errors.js';
import type { Fact } from '../common/facts.js';
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

  write(fact: Fact): void {
    const line = wordFact(fact);
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

/** `undefined`: nothing to say. Longer than functions should be: a list, in which one looks up a fact. */
function wordFact(fact: Fact): Line | undefined {
  switch (fact.type) {
    case 'listening':
      return {
        level: 'log',
        kind: fact.type,
        text: `Listening to ${listChannels(fact.channels)} (backend ${fact.processId})`,
      };
    case 'deafened':
      return {
        level: 'warn',
        kind: fact.type,
        text: `Connected, but what this application sends does not arrive: ${fact.reason}`,
      };
    case 'disconnected':
      return {
        level: 'warn',
        kind: fact.type,
        text: `Lost the LISTEN connection, reconnecting: ${messageOf(fact.error)}`,
      };
    case 'reconnecting': {
      const text = `The LISTEN connection is not open, attempt ${fact.attempt} in ${renderDelay(fact.delayMs)}: ${messageOf(fact.error)}`;
      return { level: 'warn', kind: fact.type, text };
    }
    case 'gap':
      return {
        level: 'log',
        kind: fact.type,
        text: `Listening again; broadcasts may have been missed for ${gapSeconds(fact.gap)} s`,
      };
    case 'failed': {
      const text = `Listener ${fact.listener} failed on channel "${fact.channel}": ${messageOf(fact.error)}`;
      return {
        level: 'error',
        kind: `failed ${fact.listener} ${fact.channel}`,
        text,
        stack: stackOf(fact.error),
      };
    }
    case 'filter-failed': {
      const text = `Exception filter of listener ${fact.listener} failed on channel "${fact.channel}": ${messageOf(fact.error)}`;
      const kind = `filter ${fact.listener} ${fact.channel}`;
      return { level: 'error', kind, text, stack: stackOf(fact.error) };
    }
    case 'gap-handler-failed': {
      const text = `@OnGap() ${fact.listener} failed: ${messageOf(fact.error)}`;
      return { level: 'error', kind: `gap ${fact.listener}`, text, stack: stackOf(fact.error) };
    }
    case 'refused': {
      const text = `The server refused to LISTEN to channel "${fact.channel}": ${messageOf(fact.error)}`;
      return { level: 'error', kind: `refused ${fact.channel}`, text };
    }
    case 'crowded': {
      const text = `Listening to ${fact.count} channels: the server compares each name with all others. Put names of users or rows into the payload of one channel`;
      return { level: 'warn', kind: fact.type, text };
    }
    case 'rejected': {
      const text = `Refused a notification of channel "${fact.channel}": ${messageOf(fact.error)}`;
      return { level: 'error', kind: `rejected ${fact.channel}`, text };
    }
    case 'dropped': {
      const text = `Dropped a notification of channel "${fact.channel}": ${fact.receiver} is too slow (${fact.total} so far)`;
      return { level: 'warn', kind: `dropped ${fact.receiver} ${fact.channel}`, text };
    }
    case 'discarded': {
      const text = `Closing: ${fact.count} notifications of channel "${fact.channel}" were still waiting for ${fact.receiver}`;
      return { level: 'warn', text };
    }
    case 'abandoned':
      return {
        level: 'warn',
        text: `Closing: still running after ${fact.afterMs} ms: ${fact.listeners.join(', ')}`,
      };
    case 'claiming': {
      const text = `Handling stored notifications of ${listChannels(fact.channels)}, up to ${fact.concurrency} claims at once (the pool has ${fact.poolSize} connections)`;
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
        kind: `recovered ${fact.channel}`,
        text: `Claims on channel "${fact.channel}" succeed again`,
      };
    case 'claim-failed': {
      const text = `Claim on channel "${fact.channel}" failed, will retry: ${messageOf(fact.error)}`;
      return { level: 'error', kind: `claim ${fact.channel}`, text };
    }
    case 'stored-failed': {
      const fate =
        fact.delayMs === undefined
          ? 'it is a dead letter now'
          : `it is tried again in ${renderDelay(fact.delayMs)}`;
      const text = `Listener ${fact.listener} failed with notification ${fact.id} of channel "${fact.channel}" (attempt ${fact.attempt}), ${fate}: ${messageOf(fact.error)}`;
      const kind = `stored ${fact.listener} ${fact.channel} ${fact.delayMs === undefined}`;
      return { level: fact.delayMs === undefined ? 'error' : 'warn', kind, text, stack: stackOf(fact.error) };
    }
    case 'interrupted': {
      const text = `The process or connection that handled notification ${fact.id} of channel "${fact.channel}" has ended meanwhile (${fact.deaths} so far): it is handled alone now`;
      return { level: 'warn', kind: `interrupted ${fact.channel}`, text };
    }
    case 'pauses-changed':
      return {
        level: 'log',
        text:
          fact.channels.length === 0
            ? 'No channel is paused everywhere any more'
            : `Paused everywhere: ${listChannels(fact.channels)}`,
      };
    case 'pauses-unknown': {
      const text = `Pauses of all processes have no effect here, because they could not be read: ${messageOf(fact.error)}`;
      return { level: 'warn', text };
    }
    case 'expiry-failed': {
      const text = `Expired dead letters could not be deleted, will retry: ${messageOf(fact.error)}`;
      return { level: 'warn', kind: 'expiry', text };
    }
    case 'unrecorded': {
      const text = `This process could not write its row in pgpubsub_process: ${messageOf(fact.error)}`;
      return { level: 'warn', kind: 'unrecorded', text };
    }
    case 'retry-refused': {
      const letters = counted(fact.count, 'dead letter');
      const text = `Did not retry ${letters} of channel "${fact.channel}": no running process has the listener ${fact.listener}. Start a process that has it and retry again, or discard the letters.`;
      return { level: 'warn', kind: `retry ${fact.listener} ${fact.channel}`, text };
    }
    case 'close-failed':
      return { level: 'error', text: `Closing failed: ${messageOf(fact.error)}`, stack: stackOf(fact.error) };
    case 'drifted':
      return { level: 'warn', text: messageOf(fact.error) };
    case 'schema-warned':
      return { level: 'warn', text: fact.warning };
    case 'duplicated': {
      const text = `${fact.listener} runs twice for each notification: its class is provided more than once. Provide it in one module and export it.`;
      return { level: 'warn', text };
    }
    case 'enhancers-skipped': {
      const text = `These global enhancers do not run for notifications: ${listEnhancers(fact)}. Set the option "globalEnhancers" to true to run them, or to false to omit this line.`;
      return { level: 'log', text };
    }
    case 'names-minified': {
      const text = `The class names of these listeners look minified: ${fact.listeners.join(', ')}. Stored notifications remember a listener by its name, and the next build may change it: set the option "name" of @Listener(), or keep class names when you bundle.`;
      return { level: 'warn', text };
    }
    case 'lazily-loaded': {
      const text = `These methods never run, because their module was loaded after the start: ${fact.listeners.join(', ')}. Import the module of a listener, in place of loading it with LazyModuleLoader.`;
      return { level: 'warn', text };
    }
    default:
      return fact satisfies never;
  }
}

/** Guards come first: an application may rely on them. */
const listEnhancers = (skipped: Extract<Fact, { type: 'enhancers-skipped' }>): string =>
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
