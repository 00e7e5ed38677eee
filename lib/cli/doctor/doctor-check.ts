import type { DataSource } from 'typeorm';

/** How bad a finding is. `bad`: notifications do not arrive, or will not for long. */
export const SEVERITIES = ['good', 'warning', 'bad'] as const;

export type Severity = (typeof SEVERITIES)[number];

/** What one check has found. */
export interface DoctorResult {
  readonly check: string;
  readonly severity: Severity;
  readonly found: string;
  /** What it does to the application; `null` when it is good. */
  readonly means: string | null;
  /** What to do about it; `null` when it is good. SQL in it follows a colon and ends with a semicolon: it can be pasted. */
  readonly remedy: string | null;
}

/** What is examined, and what is tolerated. */
export interface DoctorInput {
  readonly dataSource: DataSource;
  /** Where the LISTEN connection goes, when that is not where the DataSource does. */
  readonly listenUrl: string | undefined;
  /** How old a transaction may get. */
  readonly maxTransactionAgeMs: number;
  /** For how long a stored notification may be due without being claimed. */
  readonly maxBacklogAgeMs: number;
}

/** A finding without the name of its check, which the doctor adds. */
export type CheckResult = Omit<DoctorResult, 'check'>;

/** One thing to look at. It tries what it is about instead of reading settings, where it can. Rejects when it cannot look. */
export interface DoctorCheck {
  readonly name: string;
  run(input: DoctorInput): Promise<readonly CheckResult[]>;
}

export const good = (found: string): CheckResult => ({ severity: 'good', found, means: null, remedy: null });

export const warning = (found: string, means: string, remedy: string): CheckResult => ({
  severity: 'warning',
  found,
  means,
  remedy,
});

export const bad = (found: string, means: string, remedy: string): CheckResult => ({
  severity: 'bad',
  found,
  means,
  remedy,
});
