import * as v from 'valibot';
import { group, milliseconds, parseShape } from '../common/parse.js';
import { counted } from '../common/wording.js';
import type { ConnectionSnapshot } from '../connection/connection-states.js';
import type { CountedListener } from '../store/live-listeners.js';
import type { ChannelBacklog } from './backlog.js';

/**
 * `up`: no problem. `degraded`: the instance works, but has a problem that needs attention. `down`:
 * nothing can be sent or received in this process at the moment.
 */
export type Health = 'up' | 'degraded' | 'down';

/** The limits beyond which `pubsub.status()` reports an instance as degraded. */
export interface StatusOptions {
  /**
   * The longest time that a stored notification may be due unclaimed, in milliseconds.
   *
   * @defaultValue `300_000`
   */
  maxBacklogAgeMs?: number;
  /**
   * The largest number of dead letters; `Infinity` ignores dead letters.
   *
   * @defaultValue `0`
   */
  maxDeadLetters?: number;
  /**
   * The largest usage of the server's notification queue, from 0 to 1. When the queue is full,
   * commits that notify fail.
   *
   * @defaultValue `0.5`
   */
  maxQueueUsage?: number;
  /**
   * The time that the LISTEN connection may be lost before the health changes from degraded to
   * down, in milliseconds. The connection is reopened automatically.
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

/** A number from 0; `Infinity` is a limit that is never reached. */
const count = v.pipe(v.number('a number of at least 0'), v.minValue(0, 'a number of at least 0'));
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

/** Fills in the defaults. Throws `INVALID_ARGUMENT` for unknown or invalid limits. */
export const resolveLimits = (options: StatusOptions): Limits =>
  parseShape(limitsShape, options, { code: 'INVALID_ARGUMENT', what: 'status()' });

export interface StatusInput {
  readonly connection: ConnectionSnapshot;
  readonly channels: readonly ChannelBacklog[];
  /** The stored notifications that wait for a listener that no running process has. */
  readonly unhandled?: readonly CountedListener[];
  readonly queueUsage: number | null;
  /** The problems with the claims of this instance, a sentence each. */
  readonly claims: readonly string[];
  /** The running handlers of broadcasts, one per listener: the one that has run longest. */
  readonly running: readonly RunningHandler[];
  /** The reason why the database could not be queried, if so. */
  readonly probeFailure: { readonly reason: string; readonly isServerError: boolean } | undefined;
}

export interface RunningHandler {
  readonly channel: string;
  readonly listener: string;
  readonly forMs: number;
}

interface HealthIssue {
  readonly health: 'degraded' | 'down';
  readonly reason: string;
}

/** Returns the health, and a sentence for each problem. */
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

/**
 * An error of the server, such as a missing right or a locked table, shows that it is reachable.
 */
function databaseIssues({ probeFailure }: StatusInput): HealthIssue[] {
  if (probeFailure === undefined) return [];
  return probeFailure.isServerError
    ? [
        {
          health: 'degraded',
          reason: `the server rejected the query for stored notifications: ${probeFailure.reason}`,
        },
      ]
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
        reason: `the LISTEN connection is deaf; broadcasts do not arrive, stored notifications are polled${because}`,
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
      `"${channel}": ${counted(due, 'due notification')} unclaimed for ${inSeconds(overdueMs)}`,
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
      reason: `the server's notification queue is ${percent} % full: a listening session is in a long transaction`,
    },
  ];
}

/** Handlers of broadcasts have no timeout, and later notifications wait for them. */
const MAX_RUNNING_MS = 60_000;

const runningIssues = (running: readonly RunningHandler[]): HealthIssue[] =>
  running
    .filter(({ forMs }) => forMs > MAX_RUNNING_MS)
    .map(({ channel, listener, forMs }) => ({
      health: 'degraded',
      reason: `${listener} has been handling a notification on "${channel}" for ${inSeconds(forMs)}`,
    }));

const inSeconds = (ms: number): string => `${Math.round(ms / 1_000)} s`;
