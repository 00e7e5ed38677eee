import type { DataSource } from 'typeorm';
import type { Delivered, Notification } from '../channels/notification.js';
import type { ReportEvent } from '../common/events.js';
import type { JsonObject } from '../common/json.js';
import type { RetryOptions } from '../common/options.js';

/** A listener of an exactly-once channel, with all options resolved. Rows store its name. */
export interface ClaimListener {
  readonly name: string;
  /** Whether one call receives all notifications of a claim. */
  readonly batch: boolean;
  /** The number of its handlers that may interleave in one claim; 1: one after the other. */
  readonly concurrency: number;
  readonly retry: RetryOptions;
  /** The time limit of one call, in milliseconds. */
  readonly timeoutMs: number | false;
  /** Members that the context must contain; other notifications are left to other processes. */
  readonly filter: JsonObject | undefined;
  /** Whether a notification is addressed to this listener, by its operation. */
  readonly accepts: ((notification: Notification) => boolean) | undefined;
  readonly invoke: (delivered: Delivered) => Promise<unknown>;
}

/** The state that all claims of a channel in this process share. Owned by the channel's worker. */
export interface ClaimContext {
  readonly dataSource: DataSource;
  readonly schema: string;
  readonly channel: string;
  readonly ordered: boolean;
  readonly listeners: readonly ClaimListener[];
  /** The module's filter: rows whose context does not contain it are left to other processes. */
  readonly filter: JsonObject | undefined;
  /** The module's context, for triggers that fire in handlers. */
  readonly context: (() => object) | undefined;
  /** The context for triggers while a handler runs; `undefined`: the claim's. */
  readonly contextOfHandler: () => JsonObject | undefined;
  /**
   * Turns a payload's JSON text into the value for listeners. Throws or rejects if it is invalid.
   */
  readonly decode: (json: string | null) => unknown;
  /** The time after which a claim starts no more handlers, in milliseconds. */
  readonly maxTimeMs: number;
  /** The time for which the server waits for this process without an answer, in milliseconds. */
  readonly deadPeerTimeoutMs: number;
  /** Whether claims should end soon: the application closes, or the channel is paused. */
  readonly isEnding: () => boolean;
  readonly signal: AbortSignal;
  readonly report: ReportEvent;
  /** The dead-peer settings that the server supports; read with the first claim. */
  platform: Platform;
  /** Whether settings are restored after every handler: one has changed some in a function. */
  restoresSettings: boolean;
  /** Claims that were given up without an answer, and are not settled yet. */
  readonly givenUp: GivenUpClaim[];
  /** Rows whose completion and failure were both rejected, until their retry. */
  readonly heldBack: Map<string, HeldBack>;
}

export interface Platform {
  readonly isKnown: boolean;
  readonly hasUserTimeout: boolean;
  readonly hasKeepAlives: boolean;
}

/** A claim that was given up: its outcome is unknown. */
export interface GivenUpClaim {
  /** The server process of its connection. */
  readonly processId: number | null;
  /** Its rows; empty if the claim was not answered. */
  readonly ids: readonly string[];
  /** The rows that have used up an attempt. */
  readonly ran: readonly string[];
  /** Whether the completion was already sent. */
  readonly isCommitting: boolean;
}

export interface HeldBack {
  readonly attempts: number;
  /** The time of the retry, of `performance.now()`. */
  readonly until: number;
}
