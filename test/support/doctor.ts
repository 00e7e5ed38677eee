import { STORED_DATA_SOURCE, pgpubsub } from './command.js';
import { eventually } from './mailbox.js';

export interface Finding {
  readonly check: string;
  readonly severity: 'good' | 'warning' | 'bad';
  readonly found: string;
  readonly means: string | null;
  readonly remedy: string | null;
}

/** The SQL in a remedy that a reader would paste: all of it, or the part after a colon. */
export const sqlIn = (remedy: string | null | undefined): string[] =>
  remedy?.match(/(?<=^|[:;] )(?:alter|grant|rollback prepared|select|vacuum) [^;]+;/g) ?? [];

/** The report of `pgpubsub doctor` for a database like that of `test/e2e/apps/stored`. */
export class Diagnosis {
  private constructor(
    readonly code: number,
    readonly findings: readonly Finding[],
  ) {}

  static async of(url: string, ...options: string[]): Promise<Diagnosis> {
    const args = ['doctor', '-d', STORED_DATA_SOURCE, '--json', ...options];
    const { code, stdout, stderr } = await pgpubsub(args, { DATABASE_URL: url });
    if (stderr !== '') throw new Error(stderr);
    return new Diagnosis(code, (JSON.parse(stdout) as { findings: Finding[] }).findings);
  }

  /** Repeats until `matches` holds, because some problems take time to become visible. */
  static async until(matches: (diagnosis: Diagnosis) => boolean, url: string, ...options: string[]) {
    let last = await Diagnosis.of(url, ...options);
    await eventually(async () => {
      if (matches(last)) return true;
      last = await Diagnosis.of(url, ...options);
      return false;
    }, 'the doctor finds it');
    return last;
  }

  about(check: string): readonly Finding[] {
    return this.findings.filter((finding) => finding.check === check);
  }

  /** The findings that are not good. */
  get complaints(): readonly Finding[] {
    return this.findings.filter(({ severity }) => severity !== 'good');
  }
}
