import type { DataSource } from 'typeorm';
import type { Delivered, Notification } from '../channels/notification.js';
import type { ReportEvent } from '../common/events.js';
import type { JsonObject } from '../common/json.js';
import type { RetryOptions } from '../common/options.js';

/** A listener of an exactly-once channel, with every option resolved. Rows remember its name. */
export interface ClaimListener {
  readonly name: string;
  /** Whether it gets all notifications of a claim in one call. */
  readonly batch: boolean;
  /** The number of its handlers that may interleave in one claim; 1: one after the other. */
  readonly concurrency: number;
  readonly retry: RetryOptions;
  /** How long one call may run, in milliseconds. */
  readonly timeoutMs: number | false;
  /** Only notifications whose context contains this; the others are left to other processes. */
  readonly filter: JsonObject | undefined;
  /** Whether a notification is addressed to this listener, by its operation. */
  readonly accepts: ((notification: Notification) => boolean) | undefined;
  readonly invoke: (delivered: Delivered) => Promise<unknown>;
}

/** Parts that all claims of a channel in this process share. Owned by the channel's worker. */
export interface ClaimContext {
  readonly dataSource: DataSource;
  /** The schema of the library's tables. */
  readonly schema: string;
  readonly channel: string;
  readonly ordered: boolean;
  readonly listeners: readonly ClaimListener[];
  /** The module's filter: rows whose context does not contain it are left to other processes. */
  readonly filter: JsonObject | undefined;
  /** The module's context, for triggers that fire in handlers. */
  readonly context: (() => object) | undefined;
  /** The context for triggers while a handler runs, where it is not the claim's. */
  readonly contextOfHandler: () => JsonObject | undefined;
  /** Turns the JSON text of a payload into what listeners get. Throws, or rejects, for what they cannot get. */
  readonly decode: (json: string | null) => unknown;
  /** After how long a claim starts no more handlers, in milliseconds. */
  readonly maxTimeMs: number;
  /** How long the server waits for this process when it does not answer, in milliseconds. */
  readonly deadPeerTimeoutMs: number;
  /** Whether the claim should end soon: the application closes, or the channel is paused. */
  readonly isEnding: () => boolean;
  readonly signal: AbortSignal;
  readonly report: ReportEvent;
  /** The settings for dead peers that the server knows; read with the first claim. */
  platform: Platform;
  /** Whether settings are restored behind every handler: one of this channel has changed some inside of a function. */
  restoresSettings: boolean;
  /** Claims that were given up without an answer, and are not settled yet. */
  readonly givenUp: GivenUpClaim[];
  /** Rows whose completion and whose failure were both refused, with the time (of `performance.now()`) of their retry. */
  readonly heldBack: Map<string, HeldBack>;
}

export interface Platform {
  readonly isKnown: boolean;
  readonly hasUserTimeout: boolean;
  readonly hasKeepAlives: boolean;
}

/** A claim that was given up: nothing says what has become of it. */
export interface GivenUpClaim {
  /** The server's process of its session. */
  readonly processId: number | null;
  /** Its rows; none: it had no answer to tell them. */
  readonly ids: readonly string[];
  /** The rows that have used up an attempt. */
  readonly ran: readonly string[];
  /** Whether the completion was on its way. */
  readonly isCommitting: boolean;
}

export interface HeldBack {
  readonly attempts: number;
  readonly until: number;
}
