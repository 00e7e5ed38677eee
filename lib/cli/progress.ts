import cliProgress from 'cli-progress';

/** How often a line is written where there is no terminal. */
const LINE_INTERVAL_MS = 2_000;

const FORMAT = '{what} [{bar}] {value}/{total} | {rate}/s | {eta_formatted} left';

/**
 * Says how far long work has come: a bar on a terminal, a line now and then elsewhere. On stderr, beside what the command
 * prints. Owned by who does the work; ends with `finish()`.
 */
export class Progress {
  private done = 0;
  private readonly startedAt = performance.now();
  private lastLineAt = this.startedAt;
  private readonly bar: cliProgress.SingleBar | undefined;

  constructor(
    private readonly what: string,
    private readonly total: number,
    private readonly out: NodeJS.WriteStream = process.stderr,
  ) {
    if (!out.isTTY) return;
    this.bar = new cliProgress.SingleBar({ format: FORMAT, stream: out, hideCursor: true });
    this.bar.start(total, 0, { what, rate: 0 });
  }

  advance(by: number): void {
    this.done += by;
    this.bar?.update(this.done, { rate: this.rate });
    if (this.bar || performance.now() - this.lastLineAt < LINE_INTERVAL_MS) return;
    this.lastLineAt = performance.now();
    this.writeLine();
  }

  finish(): void {
    if (this.bar) this.bar.stop();
    else this.writeLine();
  }

  private get rate(): number {
    return Math.round(this.done / Math.max(0.001, (performance.now() - this.startedAt) / 1_000));
  }

  private writeLine(): void {
    const left = this.rate > 0 ? Math.ceil(Math.max(0, this.total - this.done) / this.rate) : undefined;
    const rest = left === undefined ? '' : `, ${left} s left`;
    this.out.write(`${this.what}: ${this.done} of ${this.total} (${this.rate}/s${rest})\n`);
  }
}
