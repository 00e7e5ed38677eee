/** The LISTEN connection of an instance, as `pubsub.connection$` shows it. */
export type ConnectionState =
  /** being opened for the first time */
  | 'connecting'
  /** LISTEN is in force and a test notification has arrived */
  | 'listening'
  /** LISTEN is in force, but what the DataSource sends does not arrive */
  | 'deaf'
  /** lost; being opened anew */
  | 'reconnecting'
  /** not open: the application has closed, or nothing here has listened yet */
  | 'closed';

/** A time in which broadcasts may have been missed, because the LISTEN connection was down or deaf. */
export interface Gap {
  /** The channels that were listened to when LISTEN was in force again. */
  readonly channels: readonly string[];
  /** When the server was last heard before the interruption. */
  readonly from: Date;
  /** When LISTEN was in force again. */
  readonly to: Date;
}

/**
 * What the parts report, instead of logging it: the logger words the lines, the metrics count, `pubsub.events$` hands it
 * out. Names are participles of what happened or is happening. What happens often is reported by call, chunk or claim,
 * with a `count`, and never by notification: a listener may handle hundreds of thousands a second.
 */
export type PubSubEvent =
  /** LISTEN is in force for these channels, and a test notification has arrived. */
  | { readonly type: 'listening'; readonly channels: readonly string[]; readonly processId: number }
  /** LISTEN is in force, but what the DataSource sends does not arrive. */
  | { readonly type: 'deafened'; readonly reason: string }
  /** The LISTEN connection was lost. */
  | { readonly type: 'disconnected'; readonly error: unknown }
  /** It could not be reopened; the next attempt comes after `delayMs`. */
  | {
      readonly type: 'reconnecting';
      readonly attempt: number;
      readonly delayMs: number;
      readonly error: unknown;
    }
  /** It is open again, by this attempt. */
  | { readonly type: 'reconnected'; readonly attempt: number }
  /** Broadcasts may have been missed, as `pubsub.gaps$` tells. */
  | { readonly type: 'gap'; readonly gap: Gap }
  /** A call of `notify()` or `notifyMany()` has sent broadcasts; in the caller's transaction: they leave if it commits. */
  | {
      readonly type: 'published';
      readonly channel: string;
      readonly count: number;
      readonly durationMs: number;
    }
  /** A call of `notify()` or `notifyMany()` has stored notifications; in the caller's transaction: they stay if it commits. */
  | { readonly type: 'stored'; readonly channel: string; readonly count: number; readonly durationMs: number }
  /** A call of `notify()` or `notifyMany()` has failed: its caller got the error. */
  | {
      readonly type: 'publish-failed';
      readonly channel: string;
      readonly delivery: 'broadcast' | 'exactly-once';
      readonly count: number;
      readonly durationMs: number;
      readonly error: unknown;
    }
  /** Broadcasts have arrived that somebody here listens to or observes; so many in one chunk of the socket. */
  | { readonly type: 'received'; readonly channel: string; readonly count: number }
  /**
   * A listener has handled so many notifications since this was last reported: of a broadcast channel, in one turn of its
   * queue; of an exactly-once channel, in one claim, which has been committed.
   */
  | {
      readonly type: 'handled';
      readonly channel: string;
      readonly listener: string;
      readonly count: number;
    }
  /** A listener threw at a broadcast, rejected, or was refused by a guard or a pipe. */
  | { readonly type: 'failed'; readonly channel: string; readonly listener: string; readonly error: unknown }
  /**
   * An exception filter of a listener threw, in place of dealing with the error that the listener failed with. That error
   * is reported, too, and decides what becomes of the notification.
   */
  | {
      readonly type: 'filter-failed';
      readonly channel: string;
      readonly listener: string;
      readonly error: unknown;
    }
  /** A method decorated with `@OnGap()` threw or rejected. */
  | { readonly type: 'gap-handler-failed'; readonly listener: string; readonly error: unknown }
  /** The server refused to LISTEN to a channel; the others are listened to. */
  | { readonly type: 'refused'; readonly channel: string; readonly error: unknown }
  /** So many channels are listened to here that each LISTEN, and each commit that notifies, takes the server long. */
  | { readonly type: 'crowded'; readonly count: number }
  /** A broadcast that arrived could not be decoded, or its channel's schema refused it. */
  | { readonly type: 'rejected'; readonly channel: string; readonly error: unknown }
  /** A receiver was too slow; `total` counts its drops since it began to receive. */
  | { readonly type: 'dropped'; readonly channel: string; readonly receiver: string; readonly total: number }
  /** Broadcasts that waited for a listener when the application closed. */
  | {
      readonly type: 'discarded';
      readonly channel: string;
      readonly receiver: string;
      readonly count: number;
    }
  /** Handlers that were still running at the shutdown timeout. */
  | { readonly type: 'abandoned'; readonly listeners: readonly string[]; readonly afterMs: number }
  /** Stored notifications of these channels are handled here, on so many connections of the pool at once. */
  | {
      readonly type: 'claiming';
      readonly channels: readonly string[];
      readonly concurrency: number;
      readonly poolSize: number;
    }
  /**
   * A claim has been committed: of the `size` rows that it had locked so many were handled, and so many failed for at
   * least one listener; there was no time for the rest. `durationMs` is the time from its begin to its commit.
   */
  | {
      readonly type: 'claimed';
      readonly channel: string;
      readonly size: number;
      readonly handled: number;
      readonly failed: number;
      readonly durationMs: number;
    }
  /** A claim has been undone, or could not be made: its rows will be claimed again. */
  | { readonly type: 'claim-failed'; readonly channel: string; readonly error: unknown }
  /** Claims of a channel work again, after one has failed. */
  | { readonly type: 'claim-recovered'; readonly channel: string }
  /** A listener failed with a stored notification; without `delayMs` it has become a dead letter. */
  | {
      readonly type: 'stored-failed';
      readonly channel: string;
      readonly listener: string;
      readonly id: string;
      readonly attempt: number;
      readonly delayMs: number | undefined;
      readonly error: unknown;
    }
  /** A claim of this row has ended with its process or connection before; so often by now. */
  | { readonly type: 'interrupted'; readonly channel: string; readonly id: string; readonly deaths: number }
  /** The list of channels that are paused in all processes has changed to this one. */
  | { readonly type: 'pauses-changed'; readonly channels: readonly string[] }
  /** This role cannot read which channels are paused everywhere: pauses of all processes have no effect here. */
  | { readonly type: 'pauses-unknown'; readonly error: unknown }
  /** Dead letters that are older than `deadLetters.keepMs` could not be deleted; they are tried again in 10 s. */
  | { readonly type: 'expiry-failed'; readonly error: unknown }
  /** The row of this process in `pgpubsub_process` could not be written; it is tried again, and reported again after a success. */
  | { readonly type: 'unrecorded'; readonly error: unknown }
  /** `stored.retry()` has left dead letters: no running process has their listener. */
  | {
      readonly type: 'retry-refused';
      readonly channel: string;
      readonly listener: string;
      readonly count: number;
    }
  /** Something went wrong while the application closed; it closes all the same. */
  | { readonly type: 'close-failed'; readonly error: unknown }
  /** Declared triggers are not in the database as declared, and `verifySchema` is `'warn'`. */
  | { readonly type: 'drifted'; readonly error: unknown }
  /** Triggers are as declared, but miss changes or report them unexpectedly; `warning` is a sentence with the remedy. */
  | { readonly type: 'schema-warned'; readonly warning: string }
  /**
   * The application has enhancers for all of its handlers that do not run for notifications, because nothing was said about
   * them: the option `globalEnhancers` is not set. These are their names.
   */
  | {
      readonly type: 'enhancers-skipped';
      readonly guards: readonly string[];
      readonly interceptors: readonly string[];
      readonly pipes: readonly string[];
      readonly filters: readonly string[];
    }
  /** In production these listeners of stored notifications are named by classes whose names a bundler has shortened. */
  | { readonly type: 'names-minified'; readonly listeners: readonly string[] }
  /** A module was loaded after the start, by `LazyModuleLoader`: these methods of it never run. */
  | { readonly type: 'lazily-loaded'; readonly listeners: readonly string[] }
  /** The same method runs more than once for a notification: its class has several instances. */
  | { readonly type: 'duplicated'; readonly listener: string };

export type ReportEvent = (event: PubSubEvent) => void;
