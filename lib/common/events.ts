/** The state of an instance's LISTEN connection, as `pubsub.connection$` emits it. */
export type ConnectionState =
  /** The connection is being opened for the first time. */
  | 'connecting'
  /** LISTEN is active and a test notification has arrived. */
  | 'listening'
  /** LISTEN is active, but notifications of the DataSource do not arrive. */
  | 'deaf'
  /** The connection was lost and is being reopened. */
  | 'reconnecting'
  /** Not open: the application has closed, or no channel has been listened to yet. */
  | 'closed';

/** A period in which broadcasts may have been missed: the LISTEN connection was lost or deaf. */
export interface Gap {
  /** The channels that are listened to again. */
  readonly channels: readonly string[];
  /** The server's last sign of life before the interruption. */
  readonly from: Date;
  /** When LISTEN was active again. */
  readonly to: Date;
}

/**
 * An event of an instance. The parts emit events instead of logging: the logger words the log
 * lines, the metrics count, `pubsub.events$` emits them. Names are participles. Frequent events
 * have a `count` per call, chunk or claim, and none is per notification: a listener may handle
 * hundreds of thousands per second.
 */
export type PubSubEvent =
  /** LISTEN is active on these channels, and a test notification has arrived. */
  | { readonly type: 'listening'; readonly channels: readonly string[]; readonly processId: number }
  /** LISTEN is active, but notifications of the DataSource do not arrive. */
  | { readonly type: 'deafened'; readonly reason: string }
  /** The LISTEN connection was lost. */
  | { readonly type: 'disconnected'; readonly error: unknown }
  /** An attempt to reopen the connection failed; the next one follows after `delayMs`. */
  | {
      readonly type: 'reconnecting';
      readonly attempt: number;
      readonly delayMs: number;
      readonly error: unknown;
    }
  /** The connection is open again, after `attempt` attempts. */
  | { readonly type: 'reconnected'; readonly attempt: number }
  /** Broadcasts may have been missed; `pubsub.gaps$` emits the same gap. */
  | { readonly type: 'gap'; readonly gap: Gap }
  /** `notify()` or `notifyMany()` has sent broadcasts. In a transaction they leave at commit. */
  | {
      readonly type: 'published';
      readonly channel: string;
      readonly count: number;
      readonly durationMs: number;
    }
  /** `notify()` or `notifyMany()` has stored notifications; a transaction must still commit. */
  | { readonly type: 'stored'; readonly channel: string; readonly count: number; readonly durationMs: number }
  /** `notify()` or `notifyMany()` has failed; its caller got the error. */
  | {
      readonly type: 'publish-failed';
      readonly channel: string;
      readonly delivery: 'broadcast' | 'exactly-once';
      readonly count: number;
      readonly durationMs: number;
      readonly error: unknown;
    }
  /** Broadcasts for a listener or observer have arrived, `count` in one chunk of the socket. */
  | { readonly type: 'received'; readonly channel: string; readonly count: number }
  /**
   * A listener has handled `count` notifications since the last such event: of a broadcast channel,
   * in one turn of its queue; of an exactly-once channel, in one committed claim.
   */
  | {
      readonly type: 'handled';
      readonly channel: string;
      readonly listener: string;
      readonly count: number;
    }
  /** A listener, guard or pipe failed on a broadcast, or the buffer overflowed with `'error'`. */
  | { readonly type: 'failed'; readonly channel: string; readonly listener: string; readonly error: unknown }
  /**
   * An exception filter of a listener threw. The listener's own error is reported, too, and decides
   * what happens to the notification.
   */
  | {
      readonly type: 'filter-failed';
      readonly channel: string;
      readonly listener: string;
      readonly error: unknown;
    }
  /** A method with `@OnGap()` threw or rejected. */
  | { readonly type: 'gap-handler-failed'; readonly listener: string; readonly error: unknown }
  /** The server rejected the LISTEN for a channel; the others are active. */
  | { readonly type: 'refused'; readonly channel: string; readonly error: unknown }
  /** The process listens to many channels: each LISTEN and each commit with a NOTIFY is slow. */
  | { readonly type: 'crowded'; readonly count: number }
  /** A broadcast could not be decoded, or the schema of its channel rejected it. */
  | { readonly type: 'rejected'; readonly channel: string; readonly error: unknown }
  /** A receiver was too slow; `total` counts its drops since it started to receive. */
  | { readonly type: 'dropped'; readonly channel: string; readonly receiver: string; readonly total: number }
  /** Broadcasts that were waiting for a listener when the application closed. */
  | {
      readonly type: 'discarded';
      readonly channel: string;
      readonly receiver: string;
      readonly count: number;
    }
  /** Handlers that were still running at the shutdown timeout. */
  | { readonly type: 'abandoned'; readonly listeners: readonly string[]; readonly afterMs: number }
  /** This process handles stored notifications of these channels, in up to `concurrency` claims. */
  | {
      readonly type: 'claiming';
      readonly channels: readonly string[];
      readonly concurrency: number;
      readonly poolSize: number;
    }
  /**
   * A claim has been committed: `size` rows were locked, `handled` were handled, `failed` failed
   * for at least one listener, the rest was released for lack of time. `durationMs` is the time
   * from the start of the claim to its commit.
   */
  | {
      readonly type: 'claimed';
      readonly channel: string;
      readonly size: number;
      readonly handled: number;
      readonly failed: number;
      readonly durationMs: number;
    }
  /** A claim was rolled back or could not start; its rows will be claimed again. */
  | { readonly type: 'claim-failed'; readonly channel: string; readonly error: unknown }
  /** Claims of a channel succeed again. */
  | { readonly type: 'claim-recovered'; readonly channel: string }
  /** A listener failed with a stored notification, which without `delayMs` is now a dead letter. */
  | {
      readonly type: 'stored-failed';
      readonly channel: string;
      readonly listener: string;
      readonly id: string;
      readonly attempt: number;
      readonly delayMs: number | undefined;
      readonly error: unknown;
    }
  /** Claims of this row have ended with their process or connection, `deaths` times so far. */
  | { readonly type: 'interrupted'; readonly channel: string; readonly id: string; readonly deaths: number }
  /** The list of channels that are paused in all processes has changed to this one. */
  | { readonly type: 'pauses-changed'; readonly channels: readonly string[] }
  /** This role cannot read the pauses of all processes, which have no effect here. */
  | { readonly type: 'pauses-unknown'; readonly error: unknown }
  /** Expired dead letters (`deadLetters.keepMs`) could not be deleted; retried in 10 s. */
  | { readonly type: 'expiry-failed'; readonly error: unknown }
  /** The row in `pgpubsub_process` could not be written. Reported once until the next success. */
  | { readonly type: 'unrecorded'; readonly error: unknown }
  /** `stored.retry()` left dead letters: no running process has their listener. */
  | {
      readonly type: 'retry-refused';
      readonly channel: string;
      readonly listener: string;
      readonly count: number;
    }
  /** An error while the application closed; the shutdown continues. */
  | { readonly type: 'close-failed'; readonly error: unknown }
  /** Declared triggers or tables differ from the database, and `verifySchema` is `'warn'`. */
  | { readonly type: 'drifted'; readonly error: unknown }
  /** Triggers as declared miss changes, or send unexpected ones; `warning` names the remedy. */
  | { readonly type: 'schema-warned'; readonly warning: string }
  /** Global enhancers that do not run: the option `globalEnhancers` is not set. */
  | {
      readonly type: 'enhancers-skipped';
      readonly guards: readonly string[];
      readonly interceptors: readonly string[];
      readonly pipes: readonly string[];
      readonly filters: readonly string[];
    }
  /** In production, class names of these exactly-once listeners without `name` look minified. */
  | { readonly type: 'names-minified'; readonly listeners: readonly string[] }
  /** `LazyModuleLoader` loaded a module after the start; these methods of it never run. */
  | { readonly type: 'lazily-loaded'; readonly listeners: readonly string[] }
  /** A method runs several times per notification, because its class has several instances. */
  | { readonly type: 'duplicated'; readonly listener: string };

export type ReportEvent = (event: PubSubEvent) => void;
