import type { PubSubEvent } from '../../../lib/common/events.js';

/** The error of all events that have one. */
export const error = new Error('boom');
const gap = { channels: ['orders'], from: new Date(0), to: new Date(1_500) };

/** One event of every type with its log line, if it has one. A missing type does not compile. */
export const SAMPLES: {
  readonly [T in PubSubEvent['type']]: readonly [event: Extract<PubSubEvent, { type: T }>, line?: string];
} = {
  claiming: [
    { type: 'claiming', channels: ['orders'], concurrency: 4, poolSize: 10 },
    'log: Handling stored notifications of channel orders, up to 4 claims at once (the pool has 10 connections)',
  ],
  'claim-failed': [
    { type: 'claim-failed', channel: 'orders', error },
    'error: Claim on channel "orders" failed, will retry: boom',
  ],
  'claim-recovered': [
    { type: 'claim-recovered', channel: 'orders' },
    'log: Claims on channel "orders" succeed again',
  ],
  'stored-failed': [
    {
      type: 'stored-failed',
      channel: 'orders',
      listener: 'Orders.receive',
      id: '7',
      attempt: 2,
      delayMs: 1_500,
      error,
    },
    'warn: Listener Orders.receive failed on channel "orders", notification 7, attempt 2; will retry in 1.5 s: boom',
  ],
  interrupted: [
    { type: 'interrupted', channel: 'orders', id: '7', deaths: 1 },
    'warn: Notification 7 on channel "orders" was interrupted: the process or connection that handled it ended (interruptions so far: 1). It is now handled in a claim of its own.',
  ],
  'retry-refused': [
    { type: 'retry-refused', channel: 'orders', listener: 'Orders.receive', count: 2 },
    'warn: Did not retry 2 dead letters of channel "orders": no running process has the listener Orders.receive. Start a process that has it and retry again, or discard the letters.',
  ],
  listening: [
    { type: 'listening', channels: ['orders', 'payments'], processId: 42 },
    'log: Listening to 2 channels: orders, payments (backend 42)',
  ],
  deafened: [
    { type: 'deafened', reason: 'a pooler' },
    'warn: The LISTEN connection is open, but notifications sent by this application do not arrive: a pooler',
  ],
  disconnected: [{ type: 'disconnected', error }, 'warn: Lost the LISTEN connection, reconnecting: boom'],
  reconnecting: [
    { type: 'reconnecting', attempt: 3, delayMs: 250, error },
    'warn: Could not open the LISTEN connection, attempt 3 in 250 ms: boom',
  ],
  reconnected: [{ type: 'reconnected', attempt: 3 }],
  gap: [{ type: 'gap', gap }, 'log: Listening again; broadcasts may have been missed for 1.5 s'],
  published: [{ type: 'published', channel: 'orders', count: 3, durationMs: 1.5 }],
  stored: [{ type: 'stored', channel: 'orders', count: 3, durationMs: 1.5 }],
  'publish-failed': [
    {
      type: 'publish-failed',
      channel: 'orders',
      delivery: 'broadcast',
      count: 3,
      durationMs: 1.5,
      error,
    },
  ],
  received: [{ type: 'received', channel: 'orders', count: 3 }],
  handled: [{ type: 'handled', channel: 'orders', listener: 'Orders.receive', count: 3 }],
  claimed: [{ type: 'claimed', channel: 'orders', size: 5, handled: 3, failed: 1, durationMs: 20 }],
  failed: [
    { type: 'failed', channel: 'orders', listener: 'Orders.receive', error },
    'error: Listener Orders.receive failed on channel "orders": boom, with a stack',
  ],
  'filter-failed': [
    { type: 'filter-failed', channel: 'orders', listener: 'Orders.receive', error },
    'error: Exception filter of listener Orders.receive failed on channel "orders": boom, with a stack',
  ],
  'gap-handler-failed': [
    { type: 'gap-handler-failed', listener: 'Cache.clear', error },
    'error: @OnGap() method Cache.clear failed: boom, with a stack',
  ],
  refused: [
    { type: 'refused', channel: 'orders', error },
    'error: The server rejected LISTEN on channel "orders": boom',
  ],
  crowded: [
    { type: 'crowded', count: 5_000 },
    'warn: Listening to 5000 channels, which is slow: the server compares each channel name with all others. Put the names of users or rows into the payload of one channel.',
  ],
  rejected: [
    { type: 'rejected', channel: 'orders', error },
    'error: Rejected a notification on channel "orders": boom',
  ],
  dropped: [
    { type: 'dropped', channel: 'orders', receiver: 'listen()', total: 7 },
    'warn: Dropped a notification on channel "orders": listen() is too slow (7 dropped so far)',
  ],
  discarded: [
    { type: 'discarded', channel: 'orders', receiver: 'Orders.receive', count: 3 },
    'warn: Shutdown discarded 3 notifications on channel "orders" that waited for Orders.receive',
  ],
  abandoned: [
    { type: 'abandoned', listeners: ['Orders.receive', 'Mails.send'], afterMs: 10_000 },
    'warn: Shutdown timed out after 10000 ms; still running: Orders.receive, Mails.send',
  ],
  'pauses-changed': [
    { type: 'pauses-changed', channels: ['orders', 'mails'] },
    'log: Paused everywhere: 2 channels: orders, mails',
  ],
  'pauses-unknown': [
    { type: 'pauses-unknown', error },
    'warn: Could not read which channels are paused everywhere; these pauses have no effect in this process: boom',
  ],
  'expiry-failed': [
    { type: 'expiry-failed', error },
    'warn: Could not delete expired dead letters, will retry: boom',
  ],
  unrecorded: [
    { type: 'unrecorded', error },
    'warn: Could not write the row of this process into pgpubsub_process: boom',
  ],
  'close-failed': [{ type: 'close-failed', error }, 'error: Shutdown failed: boom, with a stack'],
  drifted: [
    { type: 'drifted', error: new Error('expected the trigger of orders, got none') },
    'warn: expected the trigger of orders, got none',
  ],
  'schema-warned': [
    {
      type: 'schema-warned',
      warning: 'Changes of the table public.child are not notified. Declare it, too.',
    },
    'warn: Changes of the table public.child are not notified. Declare it, too.',
  ],
  'enhancers-skipped': [
    {
      type: 'enhancers-skipped',
      guards: ['ThrottlerGuard', 'AuthGuard'],
      interceptors: [],
      pipes: ['ValidationPipe'],
      filters: ['QueryFailedFilter'],
    },
    'log: These global enhancers do not run for notifications: guards ThrottlerGuard, AuthGuard; pipes ValidationPipe; filters QueryFailedFilter. Set the option "globalEnhancers" to true to run them, or to false to omit this line.',
  ],
  'names-minified': [
    { type: 'names-minified', listeners: ['t.receive', 'e1.send'] },
    'warn: The class names of these listeners look minified: t.receive, e1.send. Stored notifications refer to a listener by its name, which the next build may change. Set the option "name" of @Listener(), or keep class names when you bundle.',
  ],
  'lazily-loaded': [
    { type: 'lazily-loaded', listeners: ['Orders.receive', 'Cache.clear'] },
    'warn: These methods never run, because their module was loaded after the application started: Orders.receive, Cache.clear. Import the module instead of loading it with LazyModuleLoader.',
  ],
  duplicated: [
    { type: 'duplicated', listener: 'Orders.receive' },
    'warn: Orders.receive runs twice for each notification: its class is provided more than once. Provide it in one module and export it.',
  ],
};
