import { STORED_DATA_SOURCE, pgpubsub } from './command.js';
import { eventually } from './mailbox.js';

export interface Finding {
  readonly check: string;
  readonly severity: 'good' | 'warning' | 'bad';
  readonly found: string;
  readonly means: string | null;
  readonly remedy: string | null;
}

/** The SQL in a remedy, as somebody would paste it: all of it, or what follows a colon. */
export const sqlIn = (remedy: string | null | undefined): string[] =>
  remedy?.match(/(?<=^|[:;] )(?:alter|grant|rollback prepared|select|vacuum) [^;]+;/g) ?? [];

/** What `pgpubsub doctor` says of a database that is as `test/e2e/apps/stored` has it. */
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

  /** The first in which `matches` holds: for what takes time to be seen. */
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

  /** What is not good. */
  get complaints(): readonly Finding[] {
    return this.findings.filter(({ severity }) => severity !== 'good');
  }
}
