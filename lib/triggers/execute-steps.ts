import type { QueryRunner } from 'typeorm';
import { isServerError } from '../common/server-error.js';
import type { Step } from '../common/step.js';

/** Runs steps in one transaction. Throws as `executeStep()`. */
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
 * Runs a step. If the server rejects it, throws the step's own error, if it has one.
 *
 * no deadline: a part of a migration or of the start, whose limits are the application's
 */
export async function executeStep(runner: QueryRunner, { up, refused }: Step): Promise<void> {
  try {
    if (up !== undefined) await runner.query(up);
  } catch (error) {
    throw refused !== undefined && isServerError(error) ? refused(error) : error;
  }
}
