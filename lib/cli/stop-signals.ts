/** npm passes the terminal's Ctrl-C on to who has had it already: together they are one. */
const SAME_INTERRUPT_MS = 200;

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** What the signals of this process mean. */
export interface StopHandlers {
  /** The first: finish what runs, and end. */
  readonly finish: (reason: string) => void;
  /** Another one: end at once. */
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
  let last: { readonly signal: NodeJS.Signals; readonly at: number } | undefined;
  const receive = (signal: NodeJS.Signals): void => {
    const previous = last;
    last = { signal, at: performance.now() };
    if (previous === undefined) return finish(signal);
    const isSame =
      signal === 'SIGINT' && previous.signal === signal && last.at - previous.at < SAME_INTERRUPT_MS;
    if (!isSame) endAtOnce();
  };
  for (const signal of SIGNALS) source.on(signal, receive);
}
