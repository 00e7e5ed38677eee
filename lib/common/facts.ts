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
 * What the parts report, instead of logging it: the logger words the lines, whoever counts counts. Names are
 * participles of what happened or is happening.
 */
export type Fact =
  | { readonly type: 'listening'; readonly channels: readonly string[]; readonly processId: number }
  | { readonly type: 'deafened'; readonly reason: string }
  | { readonly type: 'disconnected'; readonly error: unknown }
  | {
      readonly type: 'reconnecting';
      readonly attempt: number;
      readonly delayMs: number;
      readonly error: unknown;
    }
  | { readonly type: 'reconnected'; readonly gap: Gap }
  /** A listener threw, rejected or was refused by a guard or a pipe. */
  | { readonly type: 'failed'; readonly channel: string; readonly listener: string; readonly error: unknown }
  /** A method decorated with `@OnGap()` threw or rejected. */
  | { readonly type: 'gap-handler-failed'; readonly listener: string; readonly error: unknown }
  /** The server refused to LISTEN to a channel; the others are listened to. */
  | { readonly type: 'refused'; readonly channel: string; readonly error: unknown }
  /** What arrived could not be decoded, or its schema refused it. */
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
  /** A claim has been committed. */
  | {
      readonly type: 'claimed';
      readonly channel: string;
      readonly handled: number;
      readonly failed: number;
      readonly durationMs: number;
    }
  /** A claim has been undone, or could not be made: its rows will be claimed again. */
  | { readonly type: 'claim-failed'; readonly channel: string; readonly error: unknown }
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
  | { readonly type: 'close-failed'; readonly error: unknown }
  /** Declared triggers are not in the database as declared, and `verifySchema` is `'warn'`. */
  | { readonly type: 'drifted'; readonly error: unknown }
  /** The same method runs more than once for a notification: its class has several instances. */
  | { readonly type: 'duplicated'; readonly listener: string };

export type Report = (fact: Fact) => void;
