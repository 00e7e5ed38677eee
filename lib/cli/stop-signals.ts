/**
 * `timeout`, npm and service managers send a signal to a process and to its group, or pass on one that has come to all,
 * milliseconds apart: what follows the first so soon is no second one. Who has lost patience takes longer.
 */
const SAME_SIGNAL_MS = 200;

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** What the signals of this process mean. */
export interface StopHandlers {
  /** The first: finish what runs, and end. */
  readonly finish: (reason: string) => void;
  /** Another one, later than a repetition of the first: end at once. */
  readonly endAtOnce: () => void;
  /** Who read the log has gone, as after `| head`: finish what runs, and end, before all that is logged is lost. */
  readonly finishUnread: () => void;
}

/** From now on neither SIGINT nor SIGTERM nor a closed pipe ends the process by itself. `source` and `log` emit them. */
export function handleStopSignals(
  { finish, endAtOnce, finishUnread }: StopHandlers,
  source: Pick<NodeJS.EventEmitter, 'on'> = process,
  log: Pick<NodeJS.EventEmitter, 'once'> = process.stdout,
): void {
  log.once('error', finishUnread);
  let firstAt: number | undefined;
  const receive = (signal: NodeJS.Signals): void => {
    if (firstAt === undefined) {
      firstAt = performance.now();
      finish(signal);
    } else if (performance.now() - firstAt > SAME_SIGNAL_MS) endAtOnce();
  };
  for (const signal of SIGNALS) source.on(signal, receive);
}
