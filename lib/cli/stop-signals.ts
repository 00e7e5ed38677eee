/** npm passes the terminal's Ctrl-C on to who has had it already: together they are one. */
const SAME_INTERRUPT_MS = 200;

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** What the signals of this process mean. */
export interface StopHandlers {
  /** The first: finish what runs, and end. */
  readonly finish: (reason: string) => void;
  /** Another one: end at once. */
  readonly endAtOnce: () => void;
}

/** From now on SIGINT and SIGTERM do not end the process by themselves. `source` is who emits them. */
export function handleStopSignals(
  { finish, endAtOnce }: StopHandlers,
  source: Pick<NodeJS.EventEmitter, 'on'> = process,
): void {
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
