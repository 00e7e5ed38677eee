import { MultiBar } from 'cli-progress';

export interface ProgressOptions {
  /** What is counted, in the plural: "stored notifications". */
  readonly what: string;
  /** How many there are to begin with; more may come. */
  readonly total: number;
  readonly writeLine: (line: string) => void;
  /** A bar is drawn here if it is a terminal; elsewhere lines are written. */
  readonly terminal: NodeJS.WriteStream | undefined;
}

/** Work that is over before is not worth a line. */
const LINE_EVERY_MS = 3_000;

/**
 * Shows how far some long work has come, how fast it is and how long it may take: a bar on a terminal, a line every few
 * seconds elsewhere. Owned by the command, from the beginning of the work to `end()`.
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

  /** So many more are done. */
  advance(count: number): void {
    this.done += count;
    this.bar?.setTotal(this.total);
    this.bar?.update(this.done, { text: this.text });
  }

  /** Something else is about to be written where the bar is, which is drawn again below it. */
  clearLine(): void {
    if (this.bars) this.options.terminal?.write('\r\u001B[K');
  }

  end(): void {
    clearInterval(this.lines);
    if (this.bars?.isActive) this.bars.stop(); // once: what is below is cleared
  }

  [Symbol.dispose](): void {
    this.end();
  }

  /** Counted at the beginning; what came meanwhile is done, too. */
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
    forceRedraw: true, // others may have written over it
    gracefulExit: false, // signals are the command's
    emptyOnZero: true,
  });

const thousands = (count: number): string => Math.round(count).toLocaleString('en-US');

const renderSeconds = (seconds: number): string =>
  seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
