/**
 * `timeout`, npm and service managers signal a process and its group, or pass on a signal that all
 * have received, milliseconds apart. Signals within this time count as one.
 */
const SAME_SIGNAL_MS = 200;

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export interface StopHandlers {
  /** Called for the first signal: finish running handlers, then end. */
  readonly finish: (reason: string) => void;
  /** Called for a later signal that is no repetition: end at once. */
  readonly endAtOnce: () => void;
  /** Called when the reader of the log has closed it, as `| head` does: finish, then end. */
  readonly finishUnread: () => void;
}

/** Handles SIGINT, SIGTERM and a closed pipe, which no longer end the process by default. */
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
