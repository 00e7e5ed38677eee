import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const LIBRARIES = '/usr/lib';

/** The library of Debian's package faketime, if it is installed. */
const library = (existsSync(LIBRARIES) ? readdirSync(LIBRARIES) : [])
  .map((directory) => path.join(LIBRARIES, directory, 'faketime', 'libfaketimeMT.so.1'))
  .find((file) => existsSync(file));

/**
 * The system clock of other processes, which a test sets while they run. Their monotonic clock
 * continues.
 */
export class FakeClock implements Disposable {
  static readonly isInstalled = library !== undefined;

  private readonly directory = mkdtempSync(path.join(tmpdir(), 'pgpubsub-clock-'));
  private readonly file = path.join(this.directory, 'offset');

  constructor() {
    this.set(0);
  }

  /** The environment of a process with this clock. */
  get env(): NodeJS.ProcessEnv {
    return {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: this.file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** Sets the clock to the true time plus this number of seconds. */
  set(offsetSeconds: number): void {
    writeFileSync(this.file, `${offsetSeconds < 0 ? '' : '+'}${offsetSeconds}\n`);
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true });
  }
}
