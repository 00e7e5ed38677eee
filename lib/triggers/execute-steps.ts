import type { QueryRunner } from 'typeorm';
import { isServerError } from '../common/server-error.js';
import type { Step } from '../common/step.js';

/** Runs steps in one transaction. Throws what the error of the server means, where it is known. */
export async function executeSteps(runner: QueryRunner, steps: readonly Step[]): Promise<void> {
  if (steps.length === 0) return;
  await runner.startTransaction();
  try {
    for (const step of steps) await executeStep(runner, step);
    await runner.commitTransaction();
  } catch (error) {
    await runner.rollbackTransaction();
    throw error;
  }
}

/**
 * Throws what the error of the server means, where it is known.
 *
 * no deadline: a part of a migration or of the start, whose locks and duration are the application's
 */
export async function executeStep(runner: QueryRunner, { up, refused }: Step): Promise<void> {
  try {
    if (up !== undefined) await runner.query(up);
  } catch (error) {
    throw refused !== undefined && isServerError(error) ? refused(error) : error;
  }
}
