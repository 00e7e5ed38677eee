import * as v from 'valibot';
import { group, milliseconds, parseShape } from '../common/parse.js';
import { counted } from '../common/wording.js';
import type { ConnectionSnapshot } from '../connection/connection-states.js';
import type { CountedListener } from '../store/live-listeners.js';
import type { ChannelBacklog } from './backlog.js';

/**
 * `up`: all is well. `degraded`: it works, and somebody should look. `down`: nothing can be sent or received here at the
 * moment.
 */
export type Health = 'up' | 'degraded' | 'down';

/** What `pubsub.status()` takes for well. */
export interface StatusOptions {
  /**
   * For how long a stored notification may be due without being claimed, in milliseconds: longer is degraded.
   *
   * @defaultValue `300_000`
   */
  maxBacklogAgeMs?: number;
  /**
   * How many dead letters there may be: more is degraded. `Infinity` when others look after them.
   *
   * @defaultValue `0`
   */
  maxDeadLetters?: number;
  /**
   * How full the server's queue of notifications may be, from 0 to 1: more is degraded. When it is full, nobody can
   * commit a notification any more.
   *
   * @defaultValue `0.5`
   */
  maxQueueUsage?: number;
  /**
   * For how long the LISTEN connection may be lost, in milliseconds: until then it is degraded, then down. It comes back
   * by itself, so that a moment is no reason to stop sending requests here.
   *
   * @defaultValue `30_000`
   */
  maxReconnectingMs?: number;
}

export type Limits = Readonly<Required<StatusOptions>>;

export const STATUS_DEFAULTS = {
  maxBacklogAgeMs: 300_000,
  maxDeadLetters: 0,
  maxQueueUsage: 0.5,
  maxReconnectingMs: 30_000,
} as const satisfies Limits;

/** From 0 on; `Infinity` is a limit that is never reached. */
const count = v.pipe(v.number('a number from 0 on'), v.minValue(0, 'a number from 0 on'));
const share = 'a number from 0 to 1';

const limitsShape = group({
  maxBacklogAgeMs: v.optional(milliseconds(), STATUS_DEFAULTS.maxBacklogAgeMs),
  maxDeadLetters: v.optional(count, STATUS_DEFAULTS.maxDeadLetters),
  maxQueueUsage: v.optional(
    v.pipe(v.number(share), v.minValue(0, share), v.maxValue(1, share)),
    STATUS_DEFAULTS.maxQueueUsage,
  ),
  maxReconnectingMs: v.optional(milliseconds(), STATUS_DEFAULTS.maxReconnectingMs),
});

/** Throws `INVALID_ARGUMENT`: a misspelt limit would never be reached. */
export const resolveLimits = (options: StatusOptions): Limits =>
  parseShape(limitsShape, options, { code: 'INVALID_ARGUMENT', what: 'status()' });

/** What was found out about an instance, at one time. */
export interface StatusInput {
  readonly connection: ConnectionSnapshot;
  readonly channels: readonly ChannelBacklog[];
  /** Stored notifications that wait for a listener that no running process has. */
  readonly unhandled?: readonly CountedListener[];
  readonly queueUsage: number | null;
  /** A sentence for everything that is not well about the claims of this instance. */
  readonly claims: readonly string[];
  /** Handlers of broadcasts that run at the moment, with the longest of each listener. */
  readonly running: readonly RunningHandler[];
  /** Why the database could not be asked, if so. */
  readonly probeFailure: { readonly reason: string; readonly isServerError: boolean } | undefined;
}

/** A handler that runs at the moment. */
export interface RunningHandler {
  readonly channel: string;
  readonly listener: string;
  readonly forMs: number;
}

/** One thing that is not well, and how bad that is. */
interface HealthIssue {
  readonly health: 'degraded' | 'down';
  readonly reason: string;
}

/** How well that is, with a sentence for everything that is not. */
export function evaluateHealth(
  input: StatusInput,
  limits: Limits,
): { readonly health: Health; readonly reasons: readonly string[] } {
  const issues = [
    ...databaseIssues(input),
    ...connectionIssues(input.connection, limits),
    ...backlogIssues(input.channels, limits),
    ...unhandledIssues(input.unhandled ?? []),
    ...queueIssues(input.queueUsage, limits),
    ...input.claims.map((reason) => ({ health: 'degraded', reason }) as const),
    ...runningIssues(input.running),
  ];
  const isDown = issues.some(({ health }) => health === 'down');
  const health = issues.length === 0 ? 'up' : isDown ? 'down' : 'degraded';
  return { health, reasons: issues.map(({ reason }) => reason) };
}

/** A server that refuses to tell is there: a right is missing, or a table is locked. */
function databaseIssues({ probeFailure }: StatusInput): HealthIssue[] {
  if (probeFailure === undefined) return [];
  return probeFailure.isServerError
    ? [{ health: 'degraded', reason: `the database refuses to say what is stored: ${probeFailure.reason}` }]
    : [{ health: 'down', reason: `the database does not answer: ${probeFailure.reason}` }];
}

function connectionIssues(
  { state, forMs, channels, reason }: ConnectionSnapshot,
  { maxReconnectingMs }: Limits,
): HealthIssue[] {
  if (state === 'listening' || channels.length === 0) return [];
  const because = reason === null ? '' : `: ${reason}`;
  if (state === 'deaf')
    return [
      {
        health: 'degraded',
        reason: `the LISTEN connection is deaf, broadcasts do not arrive, stored notifications are polled for${because}`,
      },
    ];
  const isLong = state === 'closed' || forMs > maxReconnectingMs;
  return [
    {
      health: isLong ? 'down' : 'degraded',
      reason: `the LISTEN connection has been ${state} for ${inSeconds(forMs)}${because}`,
    },
  ];
}

function backlogIssues(
  channels: readonly ChannelBacklog[],
  { maxBacklogAgeMs, maxDeadLetters }: Limits,
): HealthIssue[] {
  const overdue = channels.filter(({ overdueMs }) => overdueMs > maxBacklogAgeMs);
  const dead = channels.reduce((sum, channel) => sum + channel.dead, 0);
  const issues = overdue.map(
    ({ channel, overdueMs, due }) =>
      `"${channel}": ${counted(due, 'stored notification')} due, the first for ${inSeconds(overdueMs)}, and nobody claims ${due === 1 ? 'it' : 'them'}`,
  );
  if (dead > maxDeadLetters) issues.push(`${counted(dead, 'dead letter')}: ${describeDeadLetters(channels)}`);
  return issues.map((reason) => ({ health: 'degraded', reason }));
}

const describeDeadLetters = (channels: readonly ChannelBacklog[]): string =>
  channels
    .filter(({ dead }) => dead > 0)
    .map(({ channel, dead }) => `${dead} of "${channel}"`)
    .join(', ');

const unhandledIssues = (unhandled: readonly CountedListener[]): HealthIssue[] =>
  unhandled.map(({ channel, listener, count }) => ({
    health: 'degraded',
    reason: `"${channel}": ${counted(count, 'stored notification')} for the listener ${listener}, which no running process has`,
  }));

function queueIssues(queueUsage: number | null, { maxQueueUsage }: Limits): HealthIssue[] {
  if (queueUsage === null || queueUsage <= maxQueueUsage) return [];
  const percent = Math.round(queueUsage * 100);
  return [
    {
      health: 'degraded',
      reason: `the server's queue of notifications is ${percent} % full: a session that listens is in a long transaction`,
    },
  ];
}

/** How long the handler of a broadcast may run: it has no limit of its own, and what comes after it waits. */
const MAX_RUNNING_MS = 60_000;

const runningIssues = (running: readonly RunningHandler[]): HealthIssue[] =>
  running
    .filter(({ forMs }) => forMs > MAX_RUNNING_MS)
    .map(({ channel, listener, forMs }) => ({
      health: 'degraded',
      reason: `${listener} has been handling a notification of "${channel}" for ${inSeconds(forMs)}`,
    }));

const inSeconds = (ms: number): string => `${Math.round(ms / 1_000)} s`;
