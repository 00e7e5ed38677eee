import { MultiBar } from 'cli-progress';

export interface ProgressOptions {
  /** The counted things in the plural, such as "stored notifications". */
  readonly what: string;
  /** The number at the start; more may be added. */
  readonly total: number;
  readonly writeLine: (line: string) => void;
  /** Shows a bar if it is a terminal; otherwise lines are written. */
  readonly terminal: NodeJS.WriteStream | undefined;
}

/** The interval of lines; shorter work writes none. */
const LINE_EVERY_MS = 3_000;

/**
 * Shows the progress, speed and remaining time of long work: a bar on a terminal, else a line every
 * few seconds. Owned by the command, from the start of the work to `end()`.
 */
export class Progress implements Disposable {
  private readonly began = performance.now();
  private readonly lines: NodeJS.Timeout | undefined;
  private readonly bars: MultiBar | undefined;
  private readonly bar: ReturnType<MultiBar['create']> | undefined;
  private done = 0;

  constructor(private readonly options: ProgressOptions) {
    const { total, terminal, writeLine } = options;
    if (total === 0) return;
    if (terminal?.isTTY === true) {
      this.bars = createBars(terminal);
      this.bar = this.bars.create(total, 0, { text: this.text });
    } else this.lines = setInterval(() => writeLine(this.text), LINE_EVERY_MS).unref();
  }

  advance(count: number): void {
    this.done += count;
    this.bar?.setTotal(this.total);
    this.bar?.update(this.done, { text: this.text });
  }

  /** Makes room for another line; the bar is drawn again below it. */
  clearLine(): void {
    if (this.bars) this.options.terminal?.write('\r\u001B[K');
  }

  end(): void {
    clearInterval(this.lines);
    if (this.bars?.isActive) this.bars.stop(); // only once, because it clears the lines below
  }

  [Symbol.dispose](): void {
    this.end();
  }

  /** Grows when more is done than was counted at the start. */
  private get total(): number {
    return Math.max(this.options.total, this.done);
  }

  private get text(): string {
    const perSecond = this.done / Math.max(0.001, (performance.now() - this.began) / 1_000);
    const counts = `${thousands(this.done)} of ${thousands(this.total)} ${this.options.what}`;
    if (this.done === 0) return counts;
    const left = (this.total - this.done) / perSecond;
    return `${counts}, ${thousands(perSecond)}/s, ${renderSeconds(left)} left`;
  }
}

const createBars = (stream: NodeJS.WriteStream): MultiBar =>
  new MultiBar({
    stream,
    format: '{bar} {percentage} % | {text}',
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    hideCursor: true,
    clearOnComplete: true,
    forceRedraw: true, // log lines may overwrite the bar
    gracefulExit: false, // the command handles signals
    emptyOnZero: true,
  });

const thousands = (count: number): string => Math.round(count).toLocaleString('en-US');

const renderSeconds = (seconds: number): string =>
  seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
