import type { DataSource } from 'typeorm';

/** `bad`: notifications are not delivered, or soon will not be. */
export const SEVERITIES = ['good', 'warning', 'bad'] as const;

export type Severity = (typeof SEVERITIES)[number];

/** A result of a check. */
export interface DoctorResult {
  readonly check: string;
  readonly severity: Severity;
  readonly found: string;
  /** The consequence for the application; `null` when good. */
  readonly means: string | null;
  /** The remedy; `null` when good. SQL in it follows a colon and ends with a semicolon. */
  readonly remedy: string | null;
}

/** The database to check, and the limits. */
export interface DoctorInput {
  readonly dataSource: DataSource;
  /** The address of the LISTEN connection, if it is not the one of the DataSource. */
  readonly listenUrl: string | undefined;
  /** The longest time that a transaction may be open. */
  readonly maxTransactionAgeMs: number;
  /** The longest time that a stored notification may be due unclaimed. */
  readonly maxBacklogAgeMs: number;
}

/** A result without the name of its check, which the doctor adds. */
export type CheckResult = Omit<DoctorResult, 'check'>;

/** Tests behaviour rather than settings, where possible. Rejects if the check is impossible. */
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
